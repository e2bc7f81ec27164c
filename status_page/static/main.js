// The page, put together, and its keys.
import { render } from './preact.js';
import { Agents } from './agents.js';
import { Detail, TABS } from './detail.js';
import { needs } from './model.js';
import { Needs } from './needs.js';
import { Activity } from './talk.js';
import { again, choose, drawWith, hearers, page, set, show, stream, tick } from './page.js';
import { clock, html, plural } from './text.js';

const $ = (selector) => document.querySelector(selector);
const ticks = () => document.querySelectorAll('.when,[data-until]').forEach(tick);

drawWith(() => {
	if (!stream.key) return;
	const { model, live, since, toast, sheet } = page;
	document.body.className = `${live ? '' : 'stale-page'} ${sheet ? 'sheet' : ''}`;
	$('#live').className = live ? 'live' : 'live stale';
	$('#live').textContent = live ? 'live' : `stale${since ? ` since ${clock(since / 1000)}` : ''}`;
	render(toast && html`<span>${toast}<//>`, $('#toast'));
	render(notice(), $('#notice'));
	render(html`<${Dialog} />`, $('#asking'));
	if (!model) return;
	$('#counts').textContent = `${plural(model.agents.size, 'agent')} · ${[...model.agents.values()].filter(({ running }) => running).length} running`;
	const count = needs(model).length;
	const title = count ? `(${count}) hive` : 'hive';
	if (document.title !== title) $('#icon').href = `icon.svg#n${Math.min(count, 10)}`;
	document.title = title;
	render(html`<${Needs} /><div class=columns><${Agents} /><${Detail} /></div><${Activity} />`, $('#main'));
	ticks();
});

const opened = (element) => element?.open === false && element.showModal();

function Dialog() {
	if (!page.dialog) return null;
	const { title, text, does, fields, kind, resolve } = page.dialog;
	const end = (given) => {
		set({ dialog: null });
		resolve(given);
	};
	const submit = (event) => {
		event.preventDefault();
		end(Object.fromEntries(new FormData(event.target)));
	};
	return html`<dialog ref=${opened} aria-labelledby=dialog-title onClose=${() => end(null)}>
		<form onSubmit=${submit}><h2 id=dialog-title>${title}</h2><p>${text}</p>
			${fields.map(({ name, label, hint, optional, rows, must }, at) => html`<label>${label} <span class=dim>${hint}<//>
				<${rows ? 'textarea' : 'input'} name=${name} rows=${rows} required=${!optional} pattern=${must} autocomplete=off spellcheck=${Boolean(rows)} autofocus=${!at} /><//>`)}
			<div class=acts><button type=button onClick=${() => end(null)}>Not now<//><button class=${kind} autofocus=${!fields[0]}>${does}<//></div>
		</form></dialog>`;
}

function notice() {
	const { refused, model } = page;
	if (refused) return html`<p class="notice bad">${refused}</p>`;
	return model?.haltedAt && html`<p class="notice bad">Everything is halted since ${clock(model.haltedAt)}. <code>hive resume --all</code> lifts it.</p>`;
}

hearers.push(({ kind }) => kind === 'approval_resolved' && again('api/request/'));

const GO = {
	n: () => $('#needs-list .step')?.focus(),
	a: () => ($('.agent[aria-selected=true]') ?? $('.agent'))?.focus(),
	i: () => { $('#inputs').open = true; $('#inputs input')?.focus(); },
	w: () => $('#activity textarea').focus(),
	...Object.fromEntries(Object.keys(TABS).map((tab) => [tab[0], () => { show(tab); set({ sheet: true }); }])),
};
const press = (...keys) => {
	const row = document.activeElement.closest('#needs .row') ?? $('#needs');
	keys.map((key) => row.querySelector(`[data-key=${key}]`)).find(Boolean)?.click();
};
const KEYS = {
	'/': () => $('#find').focus(),
	'?': () => $('#keys').showModal(),
	j: () => step(1),
	k: () => step(-1),
	Enter: open,
	a: () => press('approve', 'look'),
	d: () => press('deny'),
	Escape: () => set({ sheet: false }),
};

function open() {
	const { dataset: { name } } = document.activeElement;
	if (name) choose(name);
	else press('look');
}

function step(by) {
	const rows = [...document.querySelectorAll('.step')];
	const next = rows[Math.max(0, Math.min(rows.length - 1, rows.indexOf(document.activeElement.closest('.step') ?? $('.agent[aria-selected=true]')) + by))];
	next?.focus();
	if (next?.dataset.name) choose(next.dataset.name, false);
}

let going = false;
addEventListener('keydown', (event) => {
	const on = document.activeElement;
	if (event.key === 'Escape' && on === $('#find')) {
		on.value = '';
		on.blur();
		find();
	}
	if (event.ctrlKey || event.metaKey || event.altKey || $('dialog[open]') || on.matches('input,textarea,select') || (event.key === 'Enter' && !on.matches('.step'))) return;
	const does = (going && GO[event.key]) || KEYS[event.key];
	going = event.key === 'g' && !going;
	if (!does) return;
	event.preventDefault();
	does();
});

const find = () => set({ find: $('#find').value.trim().toLowerCase() });
$('#find').oninput = find;
$('#help').onclick = KEYS['?'];
const { dataset } = document.documentElement;
dataset.theme = localStorage.getItem('theme') ?? '';
$('#theme').onclick = () => {
	const dark = dataset.theme ? dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
	dataset.theme = dark ? 'light' : 'dark';
	localStorage.setItem('theme', dataset.theme);
};
addEventListener('visibilitychange', () => {
	if (document.hidden && page.model) localStorage.setItem('seen', page.seen = page.model.seq);
});
setInterval(ticks, 1000);

if (stream.key) {
	$('#nokey').remove();
	stream.run();
}
