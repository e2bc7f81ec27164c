// Messages, a line to write, and what happens.
import { act, button, draft, get, page, shown } from './page.js';
import { clock, cut, html, moment, plural, time } from './text.js';

export function Talk({ name }) {
	const words = draft('words') ?? '';
	const wanted = draft('search');
	const of = (rows) => rows.filter(({ from, to }) => from === name || to === name).slice(-80).reverse();
	const [said, noise] = [of(page.model.messages), of(page.model.noise)];
	const search = (event) => {
		event.preventDefault();
		draft('search', words.trim());
	};
	return html`<${Line} to=${name} />
		<form class=tools role=search onSubmit=${search}><input type=search aria-label="Search messages" placeholder="Search messages" value=${words} onInput=${({ target }) => { draft('words', target.value); if (!target.value) draft('search', null); }} /></form>
		${wanted ? shown(get(`api/search?words=${encodeURIComponent(wanted)}`), ({ messages }) => html`<p class=dim role=status>${plural(messages.length, 'message')} with “${wanted}”</p>${list(messages, 'Messages')}`)
			: html`${said[0] ? list(said, 'Messages') : html`<p class=empty>Nothing was said lately.</p>`}${noise[0] && html`<details class=fold><summary>${plural(noise.length, 'message')} from the system<//>${list(noise, 'System messages')}<//>`}`}`;
}

const list = (rows, label) => html`<ol aria-label=${label}>${rows.map(({ id, from, to, at, sent_at: sent, body }) => html`<li class=message key=${id}>
	<div class=who><b>${from}</b> → ${to}<span class=grow />${moment(time(at ?? sent))}</div>${cut(body, 8000)}</li>`)}</ol>`;

function Line({ to }) {
	const names = [...page.model.agents.keys(), '*'];
	const whom = to ?? draft('whom') ?? names[0];
	const key = `to ${to ?? 'anyone'}`;
	const body = draft(key) ?? '';
	const called = whom === '*' ? 'everybody' : whom;
	const send = async (event) => {
		event.preventDefault();
		if (body.trim() && (await act('send', { to: whom, body })).ok) draft(key, null);
	};
	return html`<form class=tools onSubmit=${send}>
		${!to && html`<select aria-label=To value=${whom} onChange=${({ target }) => draft('whom', target.value)}>${names.map((name) => html`<option value=${name}>${name === '*' ? 'everybody' : name}<//>`)}<//>`}
		<textarea rows=${to ? 2 : 1} aria-label=${`Message to ${to ?? 'anyone'}`} placeholder=${`Write to ${called}`} value=${body} onInput=${({ target }) => draft(key, target.value)} onKeyDown=${(event) => event.key === 'Enter' && (event.ctrlKey || event.metaKey) && send(event)} />
		${button('Send', send, { class: 'main', type: 'submit', disabled: !body.trim() }, 'send')}</form>`;
}

const TONES = { alarm: 'bad', wanted: 'warn' };
export function Activity() {
	const { messages, events } = page.model;
	const told = new Set(events.map(({ kind, id }) => kind === 'sent' && id));
	const rows = [...messages.filter(({ id }) => !told.has(id)).map((message) => ({ ...message, kind: 'sent', at: time(message.at), seq: 0 })),
		...events.filter(({ kind, said, from }) => said && from !== 'system' && !/^(transient|container_state)/.test(kind))]
		.filter((event) => JSON.stringify(event).toLowerCase().includes(page.find)).sort((a, b) => b.at - a.at || b.seq - a.seq).slice(0, 100);
	const known = page.seen && rows.findIndex(({ seq }) => seq <= page.seen);
	return html`<section id=activity aria-label=Activity><h2>Activity</h2><${Line} />
		${!rows[0] && html`<p class=empty>Nothing lately; <code>hive events</code> has all.</p>`}
		<ol class=feed tabindex=0 aria-label=Activity>${rows.map(({ seq, id, at, kind, from, to, body, agent, name, asker, tone, said }, index) => html`<li key=${seq || `m${id}`} class=${index && index === known ? 'known' : ''}><time>${clock(at)}</time><span>${kind === 'sent'
			? html`<b>${from}</b> → <b>${to}</b> <span class=quote>${cut(body, 160)}<//>`
			: html`<b>${agent ?? name ?? asker}</b> <span class=${TONES[tone]}>${said.replace(/ \(`hive [^`]*`\)/, '')}<//>`}<//></li>`)}</ol><//>`;
}
