// The agents, what was destroyed, and what all are built from.
import { ago, button, choose, confirm, act, deed, dot, draft, is, page } from './page.js';
import { cut, html, plural, size, time } from './text.js';

export function condition({ running, failed, crash_loop: loop, cause, paused, turn, status_text: text, status_set_at: at }, operation) {
	if (operation) {
		const { transient_kind: kind, steps, since_unix: since } = operation;
		const doing = steps?.findLast(({ state }) => state === 'doing');
		return ['busy', kind, html`<span class=busy>${kind}${doing && ` · ${doing.step}`}<//>`, since];
	}
	if (!running) {
		const word = failed || loop ? 'failed' : 'stopped';
		return [word, word, html`<span class=${failed || loop ? 'bad' : 'dim'}>${loop ? 'crash loop' : failed ? `failed: ${cause ?? ''}` : word}<//>`];
	}
	const word = paused ? 'paused' : 'running';
	return [word, word, html`<span class=${turn === 'thinking' ? '' : 'dim'}>${(turn ?? 'running').replaceAll('_', ' ')}${text && html`: ${cut(text, 80)}`}<//>`, time(at)];
}

export const badges = ({ needs_login: login, turn, needs_update: old, paused, repair, port_taken: port, unknown }) => Object.entries({
	[turn === 'key_refused' ? 'key refused' : 'needs login']: login && 'warn', 'needs update': old && 'dim', paused: paused && 'warn', 'half-done': repair && 'bad', 'port taken': port && 'bad', 'not in the database': unknown && 'warn',
}).map(([word, colour]) => colour && html`<span class=${`tag ${colour}`}>${word}<//> `);

const natural = new Intl.Collator('en', { numeric: true }).compare;
export function Agents() {
	const { agents, operations } = page.model;
	const rows = [...agents.values(), ...[...operations.values()].filter(({ name }) => !agents.has(name))]
		.filter(({ name, status_text: text }) => `${name} ${text ?? ''}`.toLowerCase().includes(page.find))
		.sort((a, b) => (b.name === 'manager') - (a.name === 'manager') || natural(a.name, b.name));
	const asks = ['Ask for a new agent', 'It waits for your approval above.', 'Ask',
		[{ name: 'name', label: 'Name', hint: "a-z, 0-9 and '-'" }, { name: 'description', label: 'What it is for', optional: true }], 'main'];
	return html`<section id=agents aria-label=Agents>
		<div class=title><h2>Agents</h2>${deed('New…', 'spawn', ({ kind }) => kind === 'approval_added', { class: 'quiet', sure: asks })}</div>
		${!rows[0] && html`<p class=empty>${page.find ? `No agent is called “${page.find}”.` : 'No agents yet. “New…” asks for one.'}</p>`}
		<ol id=agents-list role=listbox aria-label=Agents>${rows.map((agent) => {
			const { name } = agent;
			const chosen = name === page.chosen;
			const [shape, word, does, at] = condition(agent, operations.get(name));
			return html`<li key=${name} class="agent step" role=option tabindex=0 aria-selected=${chosen} data-name=${name} onClick=${() => choose(name)}>
				${dot(shape, word)}<b title=${name}>${name}</b><span class=doing>${does}<//><span class=badges>${badges(agent)}<//>${ago(at)}</li>`;
		})}</ol>
		<${Tombstones} /><${Inputs} />
	<//>`;
}

function Tombstones() {
	const stones = page.model.tombstones;
	return stones[0] && html`<details id=tombstones class=fold><summary>${stones.length} destroyed<//><ol>${stones.map(({ name, size: bytes, has_login: login, last_modified: at }) => html`<li class=row key=${name}>
		${ago(at)}<div class=what><b>${name}</b> <span class=dim>${size(bytes)}${login && ', login kept'}<//></div>
		<div class=do>${deed('Revive', `revive/${name}`, is('approval_added', { agent: name }))}${deed('Purge…', `purge-tombstone/${name}`, is('tombstones_changed'), { class: 'bad', sure: [`Purge ${name}?`,
			`Its configuration with all history, its state and its login (${size(bytes)}) go. There is no undo.`, 'Purge', [{ name: 'name', label: `Type ${name} to go on`, must: name }]] })}</div></li>`)}</ol><//>`;
}

function Inputs() {
	const { inputs, fanOut, agents } = page.model;
	const picked = inputs.map(({ name }) => name).filter((name) => draft('inputs')?.includes(name));
	const stale = [...agents.values()].filter((agent) => agent.needs_update).length;
	const update = async (event) => {
		event.preventDefault();
		if (!await confirm(`Update ${picked.join(', ')}?`, `${picked.includes('hive') ? 'All agents' : 'The agents of these inputs'} are rebuilt and restarted, one after another.`, 'Update', [], 'main')) return;
		draft('inputs', null);
		act('meta-update', { inputs: picked });
	};
	return html`<details id=inputs class=fold open=${fanOut.size > 0 || undefined}><summary>Built from ${stale > 0 && html`<span class=tag>${plural(stale, 'agent')} behind<//>`}<//>
		<${FanOut} /><form onSubmit=${update}>${inputs.map(({ name, rev, url, last_modified: at }) => html`<label key=${name} title=${url}>
			<input type=checkbox checked=${picked.includes(name)} onChange=${({ target }) => draft('inputs', target.checked ? [...picked, name] : picked.filter((one) => one !== name))} /><span>${name}<//><code class=dim>${rev}</code>${ago(at)}<//>`)}
			${button('Update…', update, { disabled: !picked[0], type: 'submit' }, 'meta-update')}</form><//>`;
}

function FanOut() {
	const rows = [...page.model.fanOut.values()];
	const count = (does) => rows.filter(does).length;
	const done = count(({ ok }) => ok !== null);
	const failed = count(({ ok }) => ok === false);
	const says = `${done - failed} of ${rows.length} rebuilt${failed ? `, ${failed} failed` : ''}`;
	return rows[0] && html`<div class=fanout role=status><progress max=${rows.length} value=${done} aria-label=${says} /> ${says}
		<ol>${rows.map(({ agent, ok, note }) => {
			const now = page.model.operations.get(agent)?.transient_kind;
			const [shape, word] = ok ? ['running', 'rebuilt'] : ok === false ? ['failed', 'failed'] : now ? ['busy', now] : ['stopped', 'waits'];
			return html`<li key=${agent}>${dot(shape, word)} <b>${agent}</b> <span class=${ok === false ? 'bad' : 'dim'}>${word}${note && html`: ${cut(note, 400)}`}<//></li>`;
		})}</ol></div>`;
}
