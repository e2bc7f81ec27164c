// What the page shows, what is being written, and what is asked of hive.
import { apply, load } from './model.js';
import { Stream } from './stream.js';
import { html, span } from './text.js';

const kept = (name) => sessionStorage.getItem(name);
const keep = (name, value) => sessionStorage.setItem(name, value);
export const page = {
	model: null, live: false, since: null, refused: '', find: '', toast: '', dialog: null, sheet: false, chosen: kept('chosen'), tab: kept('tab') ?? 'turns', hours: 24,
	seen: Number(localStorage.getItem('seen')), open: new Set(), pending: new Map(), got: new Map(),
};

// Everything is drawn anew after a change; in the background, too, where there are no frames.
let drawing = 0;
let app;
export const drawWith = (drawn) => { app = drawn; };
export function draw() {
	drawing ||= setTimeout(() => {
		drawing = 0;
		app();
	}, 16);
}
export function set(changes) {
	Object.assign(page, changes);
	draw();
}

// The key comes in the fragment, which no server sees, and stays with the tab.
const given = new URLSearchParams(location.hash.slice(1)).get('key');
if (given) {
	keep('key', given);
	history.replaceState(null, '', location.pathname);
}

export const hearers = [(event) => page.pending.forEach((proof, path) => proof?.(event) && page.pending.delete(path))];
export const stream = new Stream(given ?? kept('key') ?? '', {
	load(state) {
		page.chosen ??= state.agents[0]?.name;
		set({ model: load(state) });
		again('');
	},
	event(event) {
		apply(page.model, event);
		for (const hear of hearers) hear(event);
		draw();
	},
	live(live, since) {
		if (live && !page.live) page.got.forEach((answer, path) => answer?.ok === false && ask(path));
		if (live !== page.live || since !== page.since) set({ live, since });
	},
	refused: (refused) => set({ refused }),
});

// What is read beside the stream: when it is first shown, and when an event has changed it.
export function get(path) {
	if (!page.got.has(path)) ask(path);
	return page.got.get(path);
}
async function ask(path) {
	page.got.set(path, page.got.get(path));
	page.got.set(path, await stream.call('GET', path));
	draw();
}
export const again = (prefix) => [...page.got.keys()].filter((path) => path.startsWith(prefix)).forEach(ask);
export const shown = (answer, show) => (!answer ? html`<p class=dim>Looking…</p>` : answer.ok ? show(answer.result) : html`<p class=bad>${answer.error}</p>`);

// Does something. Its button is off from the click to the event that proves it.
export async function act(path, body, proof) {
	if (!page.live || page.pending.has(path)) return {};
	page.pending.set(path, proof);
	draw();
	const answer = await stream.call('POST', path, { seq: page.model.seq, ...body });
	if (!answer.ok) say(answer.error);
	const done = () => page.pending.delete(path) && draw();
	// What was true already is told by no event.
	setTimeout(done, answer.ok && proof ? 5000 : 0);
	return answer;
}
export const is = (kind, fields = {}) => (event) => event.kind === kind && Object.entries(fields).every(([name, value]) => event[name] === value);

let hiding = 0;
export function say(toast) {
	set({ toast });
	clearTimeout(hiding);
	hiding = setTimeout(set, 8000, { toast: '' });
}

// Resolves to what was given, or null. fields: {name, label, hint, optional, rows, must}
export const confirm = (title, text, does, fields = [], kind = 'bad') => new Promise((resolve) => set({ dialog: { title, text, does, fields, kind, resolve } }));

export function choose(chosen, sheet = true) {
	keep('chosen', chosen);
	set({ chosen, sheet });
}
export function show(tab) {
	keep('tab', tab);
	set({ tab });
}

// What is being written outlives an update, a reconnect and a reload.
const drafts = JSON.parse(kept('drafts') ?? '{}');
export function draft(name, value) {
	if (value === undefined) return drafts[name];
	drafts[name] = value || undefined;
	keep('drafts', JSON.stringify(drafts));
	app(); // At once, for what is done with it next.
}

export function tick(element) {
	if (!element) return;
	const { since, until } = element.dataset;
	const left = Math.max(0, until - Date.now() / 1000);
	element.textContent = until ? `left ${[left / 60, left % 60].map((part) => String(Math.floor(part)).padStart(2, '0')).join(':')}` : Number(since) ? span(Date.now() / 1000 - since) : '';
}
export const ago = (at) => html`<time class=when data-since=${at || 0} ref=${tick} />`;
export const until = (at) => at && html`<time class=tag data-until=${at} ref=${tick} />`;

// path: of what it does, if that is asked of hive; it is off meanwhile, and while the page is stale.
export function button(text, click, more, path) {
	if (typeof more === 'string') more = { class: more };
	const off = path && (!page.live || page.pending.has(path));
	return html`<button type=button ...${more} sure=${null} disabled=${off || more?.disabled} onClick=${(event) => { event.stopPropagation(); click(event); }}>${text}<//>`;
}
// One that does something. sure: what `confirm` asks before.
export const deed = (text, path, proof, more) => button(text, async () => {
	const given = more?.sure ? await confirm(...more.sure) : {};
	if (given) act(path, given, proof);
}, more, path);
export const opener = (key, look = 'Look', more) => button(page.open.has(key) ? 'Close' : look, () => (page.open.delete(key) || page.open.add(key), draw()), { ...more, 'aria-expanded': page.open.has(key) });

// How something is: a shape, a colour and a word.
const TONES = { running: 'good', stopped: 'dim', failed: 'bad', busy: 'busy spins', paused: 'warn' };
export const dot = (shape, word = shape) => html`<span class=${`dot ${TONES[shape]}`} role=img aria-label=${word}><svg><use href=${`#${shape}`} /></svg><//>`;
