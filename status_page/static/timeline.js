// A strip of a day or a week: how an agent was, and what happened to it. Events go on with it.
import { Component } from './preact.js';
import { draw, get, hearers, page, set, show } from './page.js';
import { cut, html, moment, span } from './text.js';

const MARKS = /^(container_crash|crash_loop|rebuilt|approval_resolved|restarted|killed|needs_login|spawned)$/;
const path = (name) => `api/timeline/${name}?hours=${page.hours}`;

function condition({ running, failed, crash_loop: loop, turn, paused }) {
	if (!running) return failed || loop ? 'failed' : 'stopped';
	return /^(thinking|compacting)$/.test(turn) ? 'turn' : /^(idle|starting)$/.test(turn ?? 'idle') && !paused ? 'running' : 'held_up';
}

hearers.push(({ kind, at, id, agent, name, container, said }) => {
	const past = page.got.get(path(container?.name ?? agent ?? name))?.result;
	const state = container ? condition(container) : kind === 'container_removed' && 'absent';
	if (past && state && past.phases.at(-1)?.state !== state) past.phases.push({ at, state });
	if (past && MARKS.test(kind)) past.marks.push({ at, kind, text: said, id });
});
setInterval(draw, 30_000);

export class Timeline extends Component {
	render({ name }, { near, told }) {
		const answer = get(path(name));
		const until = Date.now() / 1000;
		const long = page.hours * 3600;
		const since = until - long;
		const x = (at) => Math.max(0, (at - since) / long) * 1000;
		const phases = answer?.result?.phases.map(({ at, state }, index, all) => ({ state, at: Math.max(at, since), end: all[index + 1]?.at ?? until })).filter(({ end }) => end > since) ?? [];
		const marks = answer?.result?.marks.filter(({ at }) => at > since) ?? [];
		const tells = ({ currentTarget, clientX }) => {
			const { left, width } = currentTarget.getBoundingClientRect();
			const at = since + ((clientX - left) / width) * long;
			const mark = marks.findLast((one) => Math.abs(one.at - at) < (long / width) * 6);
			const phase = phases.findLast((one) => one.at <= at);
			this.setState({ near: mark, told: mark ? `${moment(mark.at)} · ${mark.text}` : phase ? `${moment(phase.at)} to ${moment(phase.end)} · ${phase.state.replace('_', ' ')} for ${span(phase.end - phase.at)}` : moment(at) });
		};
		const go = () => {
			if (!near) return;
			show(near.id ? 'history' : 'logs');
			setTimeout(() => document.getElementById(`decided-${near.id}`)?.scrollIntoView({ block: 'center' }), 100);
		};
		return html`<div class=timeline>
			<svg viewBox="0 0 1000 24" preserveAspectRatio=none role=img class=${near ? 'near' : ''} onPointerMove=${tells} onPointerLeave=${() => this.setState({ told: '', near: null })} onClick=${go}
				aria-label=${`The last ${page.hours} hours: ${marks.map((mark) => `${moment(mark.at)} ${mark.text}`).join('; ') || 'nothing out of the ordinary'}`}>
				<rect width=1000 height=24 />${phases.map(({ at, end, state }) => html`<rect x=${x(at)} width=${Math.max(1, x(end) - x(at))} y=${state === 'turn' ? 4 : 12} height=20 class=${state} />`)}
				${marks.map(({ at, kind, text }) => html`<rect x=${x(at) - 1.5} width=3 height=24 class=${/crash|not rebuilt|failed/.test(kind + text) ? 'failed' : `mark ${kind}`} />`)}
			</svg>
			<div class=scale>${moment(since)}<span class=told>${cut(told || (answer ? answer.error : 'Looking…'), 200)}<//>now
				${[[24, '24 h'], [168, '7 d']].map(([hours, label]) => html`<button type=button class=quiet aria-pressed=${page.hours === hours} onClick=${() => set({ hours })}>${label}<//>`)}</div>
		</div>`;
	}
}
