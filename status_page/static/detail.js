// The chosen agent.
import { badges, condition } from './agents.js';
import { Logs, Turns } from './followed.js';
import { inFull, itsPage } from './needs.js';
import { ago, button, deed, dot, get, is, opener, page, set, show, shown } from './page.js';
import { Talk } from './talk.js';
import { Timeline } from './timeline.js';
import { capital, cut, html, moment, time } from './text.js';

export const TABS = { turns: Turns, messages: Talk, logs: Logs, configuration: Configuration, history: History };
const names = Object.keys(TABS);

export function Detail() {
	const { chosen: name, tab: on, model: { agents, operations } } = page;
	const operation = operations.get(name);
	const agent = agents.get(name) ?? operation;
	if (!agent) return html`<section id=detail><p class=empty>Choose an agent.</p><//>`;
	const [shape, word, does, at] = condition(agent, operation);
	const arrows = ({ key, currentTarget }) => {
		const to = names[names.indexOf(on) + { ArrowRight: 1, ArrowLeft: -1 }[key]];
		if (!to) return;
		show(to);
		currentTarget.querySelector(`#tab-${to}`).focus();
	};
	return html`<section id=detail aria-label="The chosen agent">
		<div class=head>
			<div class=title><h3>${name}</h3>${button('Back', () => set({ sheet: false }), 'back')}</div>
			<div class=facts><span>${dot(shape, word)} ${does} ${ago(at)}<//>${agent.active_model && html`<span>${agent.active_model}<//>`}<code>${agent.deployed_sha}</code>${badges(agent)}</div>
			${operation && html`<ol class=steps aria-label=Steps>${operation.steps?.map(({ step, state }) => html`<li class=${state}>${{ done: '✓ ', failed: '✕ ' }[state]}${step}</li>`)}</ol>`}
			${acts(agent, operation)}
		</div>
		<${Timeline} key=${name} name=${name} />
		<div class=tabs role=tablist onKeyDown=${arrows}>${names.map((tab) => html`<button type=button role=tab id=${`tab-${tab}`} tabindex=${tab === on ? 0 : -1} aria-selected=${tab === on} onClick=${() => show(tab)}>${capital(tab)}<//>`)}</div>
		<div class=panel role=tabpanel aria-labelledby=${`tab-${on}`}><${TABS[on]} key=${`${on} ${name}`} name=${name} agent=${agent} /></div>
	<//>`;
}

function acts({ name, running, paused, url }, operation) {
	const begun = is('transient_set', { name });
	const changed = ({ container }) => container?.name === name;
	const go = (verb, more, proof = begun) => deed(capital(verb), `${verb}/${name}`, proof, { disabled: operation && verb !== 'kill', ...more });
	const destroys = [`Destroy ${name}?`, 'Its container and its journal go. Its configuration, state and login are kept, and it can be revived.', 'Destroy'];
	return html`<div class=acts>${running ? [go('stop'), go('restart')] : go('start', { class: 'main' })}${go('rebuild')}
		${running && itsPage({ url })}
		<details class=menu><summary aria-label="More actions">⋯<//><div>${go(paused ? 'resume' : 'pause', {}, changed)}${running && go('kill', { class: 'bad' })}
			${name !== 'manager' && deed('Destroy…', `destroy/${name}`, begun, { class: 'bad', disabled: operation, sure: destroys })}</div><//></div>`;
}

function Configuration({ name, agent }) {
	return shown(get(`api/configuration/${name}?of=${agent.deployed_sha}`), ({ sha, files }) => html`<p class=dim>deployed <code>${sha.slice(0, 12)}</code></p>
		${files.map(({ path, text }) => html`<details class=file open key=${path}><summary>${path}<//><pre class=code tabindex=0>${cut(text, 200_000)}</pre><//>`)}`);
}

const COLOURS = { approved: 'good', failed: 'bad', denied: 'warn' };
function History({ name }) {
	const rows = page.model.decided.filter(({ agent }) => agent === name);
	return html`${!rows[0] && html`<p class=empty>Nothing was decided lately; <code>hive approvals --all</code> has all.</p>`}
		<ol>${rows.map(({ id, status, approval_kind: kind, sha_short: sha, resolved_at: at, description, note }) => {
			const key = `decided-${id}`;
			return html`<li class=message id=${key} key=${key}>
				<div class=who><b class=${COLOURS[status]}>${status !== 'approved' ? `${status}/${id}` : kind === 'spawn' ? 'made' : `deployed/${id}`}</b><code>${sha}</code><span class=grow />${moment(time(at))}${opener(key, 'Look', 'quiet')}</div>
				${cut(description ?? '', 2000)}${note && html`<div class=dim>${cut(note, 2000)}</div>`}${page.open.has(key) && html`<div class=whole>${inFull(get(`api/request/${id}`), name)}</div>`}</li>`;
		})}</ol>`;
}
