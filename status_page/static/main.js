// The page: parts that are drawn again when what they show has changed, and what the operator does.
import { Stream } from './stream.js';
import { apply, load, needs } from './model.js';
import { clock, h } from './text.js';
import * as parts from './parts.js';
import { Detail } from './detail.js';
import { ask, keysHelp, toast } from './dialog.js';

const $ = (id) => document.getElementById(id);
const page = { model: null, live: false, since: null, chosen: null, find: '', pending: new Set(), open: new Map() };
const key = takeKey();
const stream = new Stream(key, {
  load(state) {
    page.model = load(state);
    page.own = state.page ?? {};
    $('main').hidden = false;
    page.chosen ??= sessionStorage.getItem('chosen') ?? page.model.agents.keys().next().value ?? null;
    draw('needs', 'agents', 'inputs', 'activity', 'detail', 'messages');
  },
  event(event) {
    draw(...apply(page.model, event));
    settle(event);
  },
  live(live, since) {
    if (live === page.live && since === page.since) return;
    page.live = live;
    page.since = since;
    drawLive();
  },
  refused(message) { notice(message, true); },
});
const detail = new Detail($('detail'), page, act, stream);

// The key comes in the link's fragment, which no server sees, and stays with the tab alone.
function takeKey() {
  const given = new URLSearchParams(location.hash.slice(1)).get('key');
  if (given) {
    sessionStorage.setItem('key', given);
    history.replaceState(null, '', location.pathname);
  }
  return given ?? sessionStorage.getItem('key') ?? '';
}

const waiting = new Set();
let drawing = 0;
function draw(...names) {
  for (const name of names) waiting.add(name);
  drawing ||= requestAnimationFrame(() => {
    drawing = 0;
    const now = [...waiting];
    waiting.clear();
    for (const name of now) DRAW[name]();
    drawHead();
  });
}

const DRAW = {
  needs: () => parts.needs($('needs'), page, act, choose),
  agents: () => { parts.agents($('agents-list'), page, choose); parts.tombstones($('tombstones'), page, act); },
  inputs: () => parts.inputs($('inputs'), page, act),
  activity: () => parts.activity($('activity-list'), page, choose),
  detail: () => detail.draw(),
  messages: () => detail.messages(),
};

function drawHead() {
  if (!page.model) return;
  const agents = [...page.model.agents.values()];
  const running = agents.filter((agent) => agent.running).length;
  $('counts').textContent = `${agents.length} agent${agents.length === 1 ? '' : 's'} · ${running} running`;
  const count = needs(page.model).length;
  document.title = count ? `(${count}) hive` : 'hive';
}

function drawLive() {
  const live = $('live');
  document.body.classList.toggle('stale-page', !page.live);
  live.classList.toggle('stale', !page.live);
  const since = page.since ? ` since ${clock(page.since / 1000)}` : '';
  live.textContent = page.live ? 'live' : `stale${since}`;
  for (const button of document.querySelectorAll('main button:not(.safe)')) button.disabled = !page.live || page.pending.has(button.dataset.act);
}

function notice(text, bad = false) {
  $('notice').hidden = !text;
  $('notice').className = bad ? 'bad' : '';
  $('notice').textContent = text;
}

function choose(name, sheet = true) {
  page.chosen = name;
  sessionStorage.setItem('chosen', name ?? '');
  document.body.classList.toggle('sheet', sheet && name !== null);
  draw('agents', 'detail');
}

// Does something. Its button is off from the click to the event that proves it; a refusal is told at once.
async function act(path, body = {}, proof = null) {
  if (!page.live || page.pending.has(path)) return { ok: false };
  page.pending.add(path);
  if (proof) page.open.set(path, proof);
  drawLive();
  const answer = await stream.call('POST', path, body);
  if (!answer.ok) toast(answer.error);
  if (!answer.ok || !proof) done(path);
  return answer;
}

function settle(event) {
  for (const [path, proof] of page.open) if (proof(event)) done(path);
}

function done(path) {
  page.pending.delete(path);
  page.open.delete(path);
  drawLive();
}

// Keys, but where something is being written.
const writing = () => /^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement?.tagName ?? '') || $('dialog').open;
let going = false;
addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && document.activeElement === $('find')) { $('find').value = ''; $('find').blur(); find(); return; }
  if (event.ctrlKey || event.metaKey || event.altKey || writing()) return;
  const went = going && GO[event.key];
  going = event.key === 'g' && !going;
  const does = went || KEYS[event.key];
  if (!does) return;
  event.preventDefault();
  does();
});
const GO = {
  n: () => $('needs-list').querySelector('button')?.focus(),
  a: () => $('agents').focus(),
  m: () => detail.show('messages'),
  l: () => detail.show('logs'),
  i: () => { $('inputs').open = true; $('inputs').querySelector('input')?.focus(); },
};
const KEYS = {
  '/': () => $('find').focus(),
  '?': () => keysHelp(),
  j: () => step(1),
  k: () => step(-1),
  Enter: () => document.activeElement?.click?.(),
  a: () => $('needs').querySelector('[data-key="approve"]')?.click(),
  d: () => $('needs').querySelector('[data-key="deny"]')?.click(),
  Escape: () => document.body.classList.remove('sheet'),
};

function step(by) {
  const rows = [...$('agents-list').children];
  const at = rows.findIndex((row) => row.dataset.name === page.chosen);
  const next = rows[Math.min(rows.length - 1, Math.max(0, at + by))];
  if (!next) return;
  choose(next.dataset.name, false);
  next.scrollIntoView({ block: 'nearest' });
}

function find() {
  page.find = $('find').value.trim().toLowerCase();
  draw('agents', 'activity');
}

$('find').addEventListener('input', find);
$('help').addEventListener('click', keysHelp);
$('new-agent').addEventListener('click', async () => {
  const given = await ask({
    title: 'Ask for a new agent', does: 'Ask',
    text: 'This makes a request, which waits for your approval above.',
    fields: [{ name: 'name', label: 'Name', hint: "a-z, 0-9 and '-'" }, { name: 'description', label: 'What it is for', optional: true }],
  });
  if (given) act('spawn', given, (event) => event.kind === 'approval_added' && event.agent === given.name);
});
$('theme').addEventListener('click', () => {
  const dark = document.documentElement.dataset.theme
    ? document.documentElement.dataset.theme === 'dark' : matchMedia('(prefers-color-scheme: dark)').matches;
  document.documentElement.dataset.theme = dark ? 'light' : 'dark';
  localStorage.setItem('theme', document.documentElement.dataset.theme);
});
if (localStorage.getItem('theme')) document.documentElement.dataset.theme = localStorage.getItem('theme');

// Times tick here; nothing is asked for.
setInterval(() => {
  for (const element of document.querySelectorAll('[data-since]')) parts.tick(element);
}, 1000);

if (key) stream.run();
else notice('This page needs its key: `hive open` prints the link with it.');
drawLive();
$('main').append(h('p', { class: 'sr' }, 'Press ? for the keys.'));
