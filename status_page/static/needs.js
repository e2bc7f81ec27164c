// What needs the operator, each with its action in place.
import { diff } from './diff.js';
import { needs } from './model.js';
import { act, ago, button, choose, deed, draft, get, is, opener, page, shown, until } from './page.js';
import { cut, html } from './text.js';

export function Needs() {
	const show = (about) => (ROWS[about.need.kind] ?? trouble)(about);
	const fold = (which, says) => {
		const rows = needs(page.model, which);
		return rows[0] && html`<details class=fold><summary>${rows.length} ${says}<//><ol>${rows.map(show)}</ol><//>`;
	};
	const rows = needs(page.model);
	return html`<section id=needs aria-label="Needs you">
		${rows[0] ? html`<h2>Needs you <span class=count>${rows.length}<//></h2>` : html`<p class=empty>Nothing needs you.</p>`}
		<ol id=needs-list>${rows.map(show)}</ol>${fold('stale', 'built with another hive than there is now')}${fold('known', 'acknowledged')}
	<//>`;
}

const row = ({ key, at, need: { id, acknowledged_at: known } }, what, does, more) => html`<li key=${key} data-key=${key} class="row step" tabindex=0>${ago(at)}<div class=what>${what}</div>
	<div class=do>${does}${!known && deed('✓', `acknowledge/${id}`, (event) => event.need?.id === id, { class: 'quiet', title: 'Acknowledge' })}</div>${more && html`<div class=more>${more}</div>`}</li>`;

function question(about) {
	const { key, row: { id, asker, question: text, options, multi, deadline_at: deadline } } = about;
	const path = `answer-question/${id}`;
	const gone = is('question_resolved', { id });
	const { picked = [], own = '' } = draft(key) ?? {};
	const pick = (option, on) => draft(key, { own, picked: [...picked.filter((one) => multi && one !== option), ...(on ? [option] : [])] });
	const answer = [...options.filter((option) => picked.includes(option)), own.trim()].filter(Boolean).join(', ');
	const send = async (event) => {
		event.preventDefault();
		if (answer && (await act(path, { answer }, gone)).ok) draft(key, null);
	};
	return row(about, html`<b>${asker}</b> asks ${until(deadline)} <span class=quote>“${text}”<//>`, '', html`<form onSubmit=${send}>
		${options[0] && html`<div class=options role=${multi ? 'group' : 'radiogroup'} aria-label=Options>${options.map((option) => html`<label>
			<input type=${multi ? 'checkbox' : 'radio'} name=${key} checked=${picked.includes(option)} onChange=${(event) => pick(option, event.target.checked)} /> <span>${option}<//><//>`)}</div>`}
		<div class=tools><input aria-label="Your own answer" placeholder=${options[0] ? 'or in your own words…' : 'Your answer'} value=${own} onInput=${(event) => draft(key, { picked, own: event.target.value })} />
			${button('Answer', send, { class: 'main', type: 'submit', disabled: !answer }, path)} ${deed('Cancel question', `cancel-question/${id}`, gone, { class: 'quiet', sure: [`Cancel question ${id}?`, `${asker} is told [cancelled].`, 'Cancel question'] })}</div>
	</form>`);
}

function request(about) {
	const { key, row: { id, agent, sha, approval_kind: kind, description } } = about;
	const open = page.open.has(key);
	const answer = open && get(`api/request/${id}`);
	const decided = is('approval_resolved', { id });
	// Only what is on the screen is approved.
	const approve = () => {
		choose(agent, false);
		act(`approve/${id}`, { sha: answer.result.approval.fetched_sha }, decided);
	};
	return row(about, html`<span class=dim>request ${id} <//><b>${agent}</b>: ${kind === 'spawn' ? 'a new agent' : html`deploy <code>${sha?.slice(0, 12)}</code>`} ${description && html`<span class=quote>“${description}”<//>`}`, html`
		${answer?.ok && button('Approve', approve, { class: 'main', 'data-key': 'approve' }, `approve/${id}`)} ${opener(key, 'Look', { class: open ? '' : 'main', 'data-key': 'look' })}
		${deed('Deny…', `deny/${id}`, decided, { class: 'bad', 'data-key': 'deny', sure: [`Deny request ${id}?`, `${agent} and the manager see your note.`, 'Deny', [{ name: 'note', label: 'Why', optional: true, rows: 3 }]] })}`, open && inFull(answer, agent));
}

const SIGNS = { widens: ['+', 'warn'], narrows: ['−', 'good'], neutral: ['·', 'dim'] };
const list = (label, rows, sign) => rows[0] && html`<ol class=consequences aria-label=${label}>${rows.map((one) => html`<li><code class=${sign(one)[1]} title=${one.weight}>${sign(one)[0]}</code>${sign(one)[2]}</li>`)}</ol>`;
export const inFull = (answer, agent) => shown(answer, ({ consequences, beyond_text: beyond, diff: text, commits: [commit], requested_by: by, history }) => html`
	<p class=dim>asked by ${by}${commit && html`, ${commit.author}: ${cut(commit.message, 2000)}`} ${history.map((tag) => html`<span class=tag>${tag}<//> `)}</p>
	${list('Consequences', consequences, ({ weight, text: says }) => [...SIGNS[weight], html`<span><b>${agent}</b> ${says}<//>`])}
	${list('Beyond the text', beyond, (says) => ['!', 'bad', html`<span class=warn>${says}<//>`])}${text && diff(text)}`);

const ROWS = { request, question };
const start = ({ name }) => deed('Start', `start/${name}`, is('transient_set', { name }), 'main');
export const itsPage = ({ url }) => url && html`<a href=${url} target=_blank rel="noopener noreferrer">its page ↗</a>`;

function trouble(about) {
	const { need: { kind, agent, text, quote, command, weight }, row: it } = about;
	return row(about, html`<b>${agent ?? 'this machine'}</b> <span class=${weight > 2 && 'bad'}>${text}<//> ${quote && html`<span class=quote>“${quote}”<//>`} <code class=dim>${command}</code>`,
		html`${/^crash/.test(kind) ? start(it) : /login|key/.test(kind) && itsPage(it)} ${page.model.agents.has(agent) && button('Look', () => choose(agent))}`);
}
