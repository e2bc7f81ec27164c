// A request, opened in place: who asks and why, what it changes for the agent, the diff, and the decision.
import { render } from './diff.js';
import { ask } from './dialog.js';
import { button, since } from './parts.js';
import { fill, h, visible } from './text.js';

const SIGNS = { widens: ['+', 'warn'], narrows: ['−', 'good'], neutral: ['·', 'dim'] };

export function requestRow({ row, at }, page, act) {
  const more = h('div', { class: 'more', hidden: true });
  const decided = (event) => event.kind === 'approval_resolved' && event.id === row.id;
  const shown = { sha: row.sha };
  const look = button('Look', null, async () => {
    more.hidden = !more.hidden;
    look.textContent = more.hidden ? 'Look' : 'Close';
    look.setAttribute('aria-expanded', String(!more.hidden));
    if (!more.hidden && !more.hasChildNodes()) await open(row, page, more, shown);
  }, 'safe', { 'aria-expanded': 'false' });
  const approve = button('Approve', `approve/${row.id}`, async () => {
    if (more.hidden && row.approval_kind === 'apply_commit') { look.click(); return; }
    act(`approve/${row.id}`, shown.sha ? { sha: shown.sha } : {}, decided);
  }, 'main', { dataset: { key: 'approve' } });
  const deny = button('Deny…', `deny/${row.id}`, async () => {
    const given = await ask({ title: `Deny request ${row.id}?`, text: `${row.agent} and the manager see your note.`, does: 'Deny', bad: true, fields: [{ name: 'note', label: 'Why', optional: true, rows: 3 }] });
    if (given) act(`deny/${row.id}`, given, decided);
  }, 'bad', { dataset: { key: 'deny' } });
  const what = row.approval_kind === 'spawn' ? 'a new agent' : ['deploy ', h('span', { class: 'mono' }, (row.sha ?? '').slice(0, 12))];
  return h('li', { class: 'row' }, since(at),
    h('div', { class: 'what' }, h('span', { class: 'dim' }, `request ${row.id} `), h('b', {}, visible(row.agent)), ': ', what, row.description && [' ', h('span', { class: 'quote' }, '“', visible(row.description), '”')]),
    h('div', { class: 'do' }, approve, deny, look), more);
}

async function open(row, page, more, shown) {
  fill(more, h('p', { class: 'dim' }, 'Looking…'));
  const answer = await page.call('GET', `api/request/${row.id}`);
  if (!answer.ok) { fill(more, h('p', { class: 'bad' }, visible(answer.error))); return; }
  const { approval, consequences = [], beyond_text: beyond = [], diff, commits = [], requested_by: by } = answer.result;
  // Only what is on the screen is approved.
  shown.sha = approval.fetched_sha;
  fill(more, 
    h('p', { class: 'dim' }, `asked by ${by}`, commits.length > 0 && [', ', visible(commits[0].author), ': ', visible(commits[0].message)]),
    consequences.length > 0 && h('ol', { class: 'consequences', 'aria-label': 'Consequences' }, consequences.map((one) => h('li', {}, h('span', { class: `sign ${SIGNS[one.weight][1]}`, title: one.weight }, SIGNS[one.weight][0]), h('span', {}, h('b', {}, visible(row.agent)), ' ', visible(one.text))))),
    beyond.length > 0 && h('ol', { class: 'consequences', 'aria-label': 'Beyond the text' }, beyond.map((text) => h('li', { class: 'warn' }, h('span', { class: 'sign' }, '!'), h('span', {}, visible(text))))),
    diff ? render(diff) : h('p', { class: 'dim' }, row.approval_kind === 'spawn' ? 'It begins with its own configuration, or the default one.' : 'No file changes.'));
}
