// The parts of the page but the chosen agent's.
import { needs as needing, time } from './model.js';
import { clock, cut, fill, h, plural, size, span, visible } from './text.js';
import { ask } from './dialog.js';
import { requestRow } from './request.js';

// Replaces the rows of a list by key: a row whose look has not changed stays, and with it focus and writing.
export function keyed(list, rows) {
  const old = new Map([...list.children].map((child) => [child.dataset.key, child]));
  let at = null;
  for (const { key, look, make } of rows) {
    const before = old.get(key);
    let row = before;
    if (!before || before.dataset.look !== look) {
      row = make(before ?? null);
      row.dataset.key = key;
      row.dataset.look = look;
      if (before) before.replaceWith(row);
    }
    old.delete(key);
    const next = at ? at.nextElementSibling : list.firstElementChild;
    if (next !== row) list.insertBefore(row, next);
    at = row;
  }
  for (const gone of old.values()) gone.remove();
}

export function since(at, lead = '') {
  const element = h('span', { class: 'when', dataset: { since: String(at), lead } });
  tick(element);
  return element;
}

export function tick(element) {
  const at = Number(element.dataset.since);
  const left = element.dataset.until ? at - Date.now() / 1000 : Date.now() / 1000 - at;
  const text = !at ? '' : element.dataset.until ? countdown(left) : span(left);
  element.textContent = (element.dataset.lead ?? '') + text;
}

const countdown = (left) => `${String(Math.max(0, Math.floor(left / 60))).padStart(2, '0')}:${String(Math.max(0, Math.floor(left % 60))).padStart(2, '0')}`;

export function button(text, path, click, kind = '', props = {}) {
  return h('button', { type: 'button', class: kind, onclick: (event) => { event.stopPropagation(); click(); }, ...props, dataset: { act: path ?? '', ...props.dataset } }, text);
}

export function needs(section, page, act, choose) {
  const rows = needing(page.model);
  section.classList.toggle('calm', rows.length === 0);
  section.querySelector('h2').firstChild.textContent = rows.length ? 'Needs you ' : 'Nothing needs you.';
  document.getElementById('needs-count').textContent = rows.length || '';
  keyed(document.getElementById('needs-list'), rows.map((need) => ({
    key: need.key,
    look: JSON.stringify([need.need.text, need.need.quote, need.row.description, need.row.sha]),
    make: () => NEED[need.type](need, page, act, choose),
  })));
}

const NEED = { request: requestRow, question, agent: trouble };

function question({ row, at }, page, act) {
  const path = `answer-question/${row.id}`;
  const group = `options-${row.id}`;
  const options = row.options.map((option) => h('label', {}, h('input', { type: row.multi ? 'checkbox' : 'radio', name: group, value: option }), h('span', {}, visible(option))));
  const free = h('input', { type: 'text', 'aria-label': 'Your own answer', placeholder: options.length ? 'or type your own…' : 'Your answer', value: draft(path), oninput: (event) => draft(path, event.target.value) });
  const send = () => {
    const chosen = [...form.querySelectorAll(`[name="${group}"]:checked`)].map((input) => input.value);
    const answer = [...chosen, ...(free.value.trim() ? [free.value.trim()] : [])].join(', ');
    if (!answer) { free.focus(); return; }
    act(path, { answer }, (event) => event.kind === 'question_resolved' && event.id === row.id).then((done) => done.ok && draft(path, ''));
  };
  const form = h('form', { class: 'more', onsubmit: (event) => { event.preventDefault(); send(); } },
    options.length > 0 && h('div', { class: 'options', role: row.multi ? 'group' : 'radiogroup', 'aria-label': 'Options' }, options),
    h('div', { class: 'tools' }, free, h('button', { type: 'submit', class: 'main', dataset: { act: path } }, 'Answer'),
      button('Cancel question', `cancel-question/${row.id}`, async () => {
        const sure = await ask({ title: `Cancel question ${row.id}?`, text: `${row.asker} is told [cancelled].`, does: 'Cancel question', bad: true });
        if (sure) act(`cancel-question/${row.id}`, {}, (event) => event.kind === 'question_resolved' && event.id === row.id);
      }, 'quiet')));
  const deadline = row.deadline_at && h('span', { class: 'tag', title: 'time left', dataset: { since: String(row.deadline_at), until: '1', lead: 'left ' } });
  if (deadline) tick(deadline);
  return h('li', { class: 'row' }, since(at), h('div', { class: 'what' }, h('b', {}, visible(row.asker)), ' asks ', deadline, ' ', h('span', { class: 'quote' }, '“', visible(row.question), '”')), h('span'), h('div'), form);
}

function trouble({ row, need, at }, page, act, choose) {
  const does = {
    crash: () => button('Start', `start/${row.name}`, () => act(`start/${row.name}`, {}, (event) => event.kind === 'transient_set' && event.name === row.name), 'main'),
    needs_login: () => row.url && h('a', { href: row.url, target: '_blank', rel: 'noopener noreferrer' }, 'its page'),
  };
  does.crash_loop = does.crash;
  does.key_refused = does.needs_login;
  return h('li', { class: 'row' }, since(at), h('div', { class: 'what' }, h('b', {}, visible(row.name)), ' ', h('span', { class: 'bad' }, visible(need.text)), need.quote && [' ', h('span', { class: 'quote' }, '“', visible(need.quote), '”')], ' ', h('code', { class: 'mono dim' }, need.command)),
    h('div', { class: 'do' }, does[need.kind]?.(), page.model.agents.has(row.name) && button('Look', null, () => choose(row.name), 'safe')));
}

const drafts = new Map(Object.entries(JSON.parse(sessionStorage.getItem('drafts') ?? '{}')));
// What is being written outlives an update, a reconnect and a reload.
export function draft(name, text) {
  if (text !== undefined) {
    if (text) drafts.set(name, text); else drafts.delete(name);
    sessionStorage.setItem('drafts', JSON.stringify(Object.fromEntries(drafts)));
  }
  return drafts.get(name) ?? '';
}

const SHAPES = {
  running: ['good', '<circle class="full" cx="6" cy="6" r="5"/>', 'running'],
  stopped: ['dim', '<circle cx="6" cy="6" r="4.500"/>', 'stopped'],
  failed: ['bad', '<path d="M1.500 1.500l9 9m0-9l-9 9"/>', 'failed'],
  busy: ['busy turns', '<circle cx="6" cy="6" r="4.500" stroke-dasharray="18 10"/>', 'busy'],
  paused: ['warn', '<path d="M3.500 1v10M8.500 1v10"/>', 'paused'],
};

export function dot(agent, operation) {
  const [kind, path, word] = SHAPES[operation ? 'busy' : agent.failed || agent.crash_loop ? 'failed' : agent.running ? (agent.paused ? 'paused' : 'running') : 'stopped'];
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  svg.setAttribute('viewBox', '0 0 12 12');
  svg.innerHTML = path; // Ours, from the table above.
  return h('span', { class: `dot ${kind}`, role: 'img', 'aria-label': operation ? operation.transient_kind : word }, svg);
}

export function doing(agent, operation) {
  if (operation) {
    const step = (operation.steps ?? []).findLast((one) => one.state === 'doing');
    return [h('span', { class: 'busy' }, operation.transient_kind, step && ` · ${step.step}`), operation.since_unix];
  }
  if (!agent.running) return [h('span', { class: agent.failed ? 'bad' : 'dim' }, agent.crash_loop ? 'crash loop' : agent.failed ? `failed: ${agent.cause ?? ''}` : 'stopped'), null];
  const word = (agent.turn ?? 'running').replaceAll('_', ' ');
  const said = agent.status_text ? [': ', visible(cut(agent.status_text, 80))] : '';
  return [h('span', { class: agent.turn === 'thinking' ? '' : 'dim' }, word, said), time(agent.status_set_at) || null];
}

export function badges(agent) {
  return [
    agent.needs_login && h('span', { class: 'tag warn' }, agent.turn === 'key_refused' ? 'key refused' : 'needs login'),
    agent.needs_update && h('span', { class: 'tag' }, 'needs update'),
    agent.paused && h('span', { class: 'tag warn' }, 'paused'),
    agent.repair && h('span', { class: 'tag bad' }, 'half-done'),
    agent.port_taken && h('span', { class: 'tag bad' }, 'port taken'),
    agent.unknown && h('span', { class: 'tag warn' }, 'not in the database'),
  ].filter(Boolean);
}

const natural = new Intl.Collator('en', { numeric: true }).compare;

export function sorted(page) {
  const rows = [...page.model.agents.values()];
  for (const operation of page.model.operations.values()) {
    if (!page.model.agents.has(operation.name)) rows.push({ name: operation.name, running: false });
  }
  return rows.filter((agent) => !page.find || agent.name.includes(page.find) || (agent.status_text ?? '').toLowerCase().includes(page.find))
    .sort((a, b) => (b.name === 'manager') - (a.name === 'manager') || natural(a.name, b.name));
}

export function agents(list, page, choose) {
  const rows = sorted(page);
  if (!rows.length) {
    fill(list, h('li', { class: 'empty' }, page.find ? `No agent is called “${page.find}”.` : 'No agents yet. “New…” asks for one.'));
    return;
  }
  keyed(list, rows.map((agent) => {
    const operation = page.model.operations.get(agent.name);
    return {
      key: agent.name,
      look: JSON.stringify([agent, operation, agent.name === page.chosen]),
      make: () => {
        const [what, at] = doing(agent, operation);
        return h('li', { class: `agent${agent.name === page.chosen ? ' chosen' : ''}`, role: 'option', tabindex: '0', 'aria-selected': String(agent.name === page.chosen), dataset: { name: agent.name }, onclick: () => choose(agent.name), onkeydown: (event) => { if (event.key === 'Enter' || event.key === ' ') { event.preventDefault(); choose(agent.name); } } },
          dot(agent, operation), h('span', { class: 'name', title: agent.name }, agent.name), h('span', { class: 'doing' }, what), h('span', { class: 'badges' }, badges(agent)), since(at ?? 0));
      },
    };
  }));
}

export function tombstones(fold, page, act) {
  const rows = page.model.tombstones;
  fold.hidden = !rows.length;
  fold.querySelector('summary').textContent = `${rows.length} destroyed`;
  keyed(fold.querySelector('ol'), rows.map((stone) => ({
    key: stone.name,
    look: JSON.stringify(stone),
    make: () => h('li', { class: 'row' }, since(stone.last_modified), h('div', { class: 'what' }, h('b', {}, visible(stone.name)), ' ', h('span', { class: 'dim' }, `${size(stone.size)}${stone.has_login ? ', login kept' : ''}`)),
      h('div', { class: 'do' }, button('Revive', `revive/${stone.name}`, () => act(`revive/${stone.name}`, {}, (event) => event.kind === 'approval_added' && event.agent === stone.name)),
        button('Purge…', `purge-tombstone/${stone.name}`, async () => {
          const sure = await ask({ title: `Purge ${stone.name}?`, text: `Its configuration with all history, its state and its login (${size(stone.size)}) go. There is no undo.`, does: 'Purge', bad: true, fields: [{ name: 'name', label: `Type ${stone.name} to go on`, must: stone.name }] });
          if (sure) act(`purge-tombstone/${stone.name}`, {}, (event) => event.kind === 'tombstones_changed');
        }, 'bad'))),
  })));
}

export function inputs(fold, page, act) {
  const form = fold.querySelector('form');
  const chosen = new Set([...form.querySelectorAll('input:checked')].map((input) => input.value));
  const go = h('button', { type: 'submit', dataset: { act: 'meta-update' }, disabled: !chosen.size }, 'Update…');
  fill(form, page.model.inputs.map((input) => h('label', { title: input.url ?? '' },
    h('input', { type: 'checkbox', value: input.name, checked: chosen.has(input.name), onchange: () => { go.disabled = !form.querySelector('input:checked'); } }),
    h('span', {}, visible(input.name)), h('span', { class: 'mono dim' }, input.rev ?? ''), since(input.last_modified ?? input.lastModified ?? 0))), go);
  form.onsubmit = async (event) => {
    event.preventDefault();
    const names = [...form.querySelectorAll('input:checked')].map((input) => input.value);
    const all = names.includes('hive') ? 'all agents are' : `${plural(names.length, 'agent')} ${names.length === 1 ? 'is' : 'are'}`;
    if (names.length && await ask({ title: `Update ${names.join(', ')}?`, text: `Then ${all} rebuilt and restarted, one after another.`, does: 'Update' })) {
      act('meta-update', { inputs: names });
      for (const input of form.querySelectorAll('input:checked')) input.checked = false;
      go.disabled = true;
    }
  };
}

const SAID = {
  sent: (event) => [h('b', {}, visible(event.from)), ' → ', h('b', {}, visible(event.to)), ' ', h('span', { class: 'quote' }, visible(cut(event.body, 160)))],
  approval_added: (event) => ['request ', String(event.id), ': ', h('b', {}, visible(event.agent)), event.description ? [' “', visible(cut(event.description, 120)), '”'] : ''],
  approval_resolved: (event) => ['request ', String(event.id), ' of ', h('b', {}, visible(event.agent)), ' ', h('span', { class: event.status === 'approved' ? 'good' : 'bad' }, event.status), event.note ? [': ', visible(cut(event.note, 160))] : ''],
  question_added: (event) => [h('b', {}, visible(event.asker)), ' asks “', visible(cut(event.question, 140)), '”'],
  question_resolved: (event) => ['question ', String(event.id), ' answered by ', visible(event.answerer), ': ', visible(cut(event.answer, 120))],
  container_crash: (event) => [h('b', {}, visible(event.agent)), ' ', h('span', { class: 'bad' }, 'crashed: ', visible(event.cause))],
  crash_loop: (event) => [h('b', {}, visible(event.agent)), ' ', h('span', { class: 'bad' }, visible(event.note))],
  rebuilt: (event) => [h('b', {}, visible(event.agent)), event.ok === false ? [' ', h('span', { class: 'bad' }, 'was not rebuilt: ', visible(cut(event.note ?? '', 160)))] : ' rebuilt'],
  halted: () => [h('span', { class: 'bad' }, 'everything was stopped')],
  resumed: () => ['agents may start again'],
  needs_login: (event) => [h('b', {}, visible(event.agent)), h('span', { class: 'warn' }, ' needs login')],
};
for (const word of ['spawned', 'started', 'restarted', 'killed', 'destroyed', 'purged', 'logged_in', 'needs_update', 'adopted']) {
  SAID[word] = (event) => [h('b', {}, visible(event.agent)), ` ${word.replaceAll('_', ' ')}`];
}

export function activity(list, page) {
  const rows = page.model.events.filter((event) => SAID[event.kind] && (event.from !== 'system')).slice(-60).reverse();
  if (!rows.length) {
    fill(list, h('li', { class: 'dim' }, h('span'), h('span', {}, 'What happens from now on stands here; `hive events` has all of it.')));
    return;
  }
  keyed(list, rows.map((event) => ({ key: String(event.seq), look: '', make: () => h('li', {}, h('span', { class: 'dim' }, clock(event.at)), h('span', {}, SAID[event.kind](event))) })));
}
