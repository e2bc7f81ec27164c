// The chosen agent: what it is doing, what can be done with it, its messages, its logs, its history.
import { ask } from './dialog.js';
import { button, badges, doing, dot, draft, keyed, since } from './parts.js';
import { time } from './model.js';
import { clock, fill, h, visible } from './text.js';

const TABS = { messages: 'Messages', logs: 'Logs', history: 'History' };

export class Detail {
  constructor(section, page, act, stream) {
    this.section = section;
    this.page = page;
    this.act = act;
    this.tab = 'messages';
    page.call = (...args) => stream.call(...args);
  }

  get agent() { return this.page.model.agents.get(this.page.chosen); }

  draw() {
    const name = this.page.chosen;
    const agent = this.agent;
    if (!agent) { fill(this.section, h('p', { class: 'empty' }, 'Choose an agent to see more of it.')); this.drawn = null; return; }
    const operation = this.page.model.operations.get(name);
    if (this.drawn !== name) this.frame(name);
    this.drawn = name;
    const [what, at] = doing(agent, operation);
    fill(this.head, 
      h('div', { class: 'title' }, h('h3', {}, visible(name)), button('Back', null, () => document.body.classList.remove('sheet'), 'safe back')),
      h('div', { class: 'facts' }, h('span', {}, dot(agent, operation), ' ', what, ' ', at ? since(at) : ''), agent.active_model && h('span', {}, visible(agent.active_model)), agent.deployed_sha && h('span', { class: 'mono' }, agent.deployed_sha), badges(agent)),
      operation && h('ol', { class: 'steps' }, (operation.steps ?? []).map((step) => h('li', { class: step.state === 'doing' ? 'now' : step.state === 'failed' ? 'failed' : '' }, `${step.state === 'done' ? '✓ ' : ''}${step.step}`))),
      h('div', { class: 'acts' }, this.acts(agent, operation)));
    if (this.tab === 'history') this.show('history');
  }

  acts(agent, operation) {
    const name = agent.name;
    const set = (event) => event.kind === 'transient_set' && event.name === name;
    const cleared = (event) => event.kind === 'transient_cleared' && event.name === name;
    const go = (verb, kind = '', proof = cleared) => button(verb[0].toUpperCase() + verb.slice(1), `${verb}/${name}`, () => this.act(`${verb}/${name}`, {}, proof), kind, { disabled: Boolean(operation) && verb !== 'kill' });
    const destroy = button('Destroy…', `destroy/${name}`, async () => {
      const given = await ask({ title: `Destroy ${name}?`, text: 'Its container and its journal go. Its configuration, state and login are kept, and it can be revived.', does: 'Destroy', bad: true });
      if (given) this.act(`destroy/${name}`, {}, (event) => event.kind === 'container_removed' && event.name === name);
    }, 'bad');
    return [
      agent.running ? [go('stop'), go('restart')] : go('start', 'main', set), go('rebuild'), agent.running && go('kill', 'bad'),
      name !== 'manager' && destroy,
      agent.url && agent.running && h('a', { href: agent.url, target: '_blank', rel: 'noopener noreferrer' }, 'its page ↗'),
    ].flat().filter(Boolean);
  }

  frame(name) {
    this.head = h('div', { class: 'detail-head' });
    this.tabs = h('div', { class: 'tabs', role: 'tablist' }, Object.entries(TABS).map(([tab, title]) => h('button', { type: 'button', class: 'safe', role: 'tab', 'aria-selected': String(tab === this.tab), dataset: { tab }, onclick: () => this.show(tab) }, title)));
    this.panel = h('div', { class: 'panel', role: 'tabpanel' });
    fill(this.section, this.head, this.tabs, this.panel);
    this.list = null;
    this.show(this.tab, name);
  }

  show(tab) {
    if (!this.panel) return;
    this.tab = tab;
    for (const button of this.tabs.children) button.setAttribute('aria-selected', String(button.dataset.tab === tab));
    this.list = null;
    if (tab === 'messages') this.talk();
    else if (tab === 'logs') this.logs();
    else this.history();
  }

  talk() {
    const name = this.page.chosen;
    const text = h('textarea', { rows: 2, 'aria-label': `Message to ${name}`, placeholder: `Write to ${name}`, oninput: () => draft(`to ${name}`, text.value), onkeydown: (event) => { if (event.key === 'Enter' && (event.ctrlKey || event.metaKey)) send(); } });
    text.value = draft(`to ${name}`);
    const send = async () => {
      if (!text.value.trim()) return;
      const answer = await this.act('send', { to: name, body: text.value });
      if (answer.ok) { text.value = ''; draft(`to ${name}`, ''); }
    };
    this.list = h('ol', { 'aria-label': 'Messages' });
    fill(this.panel, h('div', { class: 'tools' }, text, button('Send', 'send', send, 'main')), this.list);
    this.messages();
  }

  messages() {
    if (!this.list || this.tab !== 'messages') return;
    const name = this.page.chosen;
    const rows = this.page.model.messages.filter((message) => message.from === name || message.to === name).slice(-80).reverse();
    if (!rows.length) { fill(this.list, h('li', { class: 'empty' }, 'Nothing was said lately.')); return; }
    keyed(this.list, rows.map((message) => ({
      key: `${message.at} ${message.from} ${message.to} ${message.body.slice(0, 40)}`,
      look: '',
      make: () => h('li', { class: `message${message.from === 'system' ? ' dim' : ''}` }, h('div', { class: 'who' }, h('b', {}, visible(message.from)), '→ ', visible(message.to), h('span', { class: 'grow' }), clock(time(message.at))), visible(message.body.length > 8000 ? `${message.body.slice(0, 8000)}…` : message.body)),
    })));
  }

  logs() {
    const name = this.page.chosen;
    const pre = h('pre', { class: 'log', tabindex: '0', 'aria-label': `Journal of ${name}` });
    const lines = h('select', { 'aria-label': 'Lines' }, ['200', '1000', '5000'].map((count) => h('option', { value: count }, `${count} lines`)));
    const fetch = async () => {
      const answer = await this.page.call('GET', `api/journal/${name}?lines=${lines.value}`);
      if (this.tab !== 'logs' || this.page.chosen !== name) return;
      const found = answer.ok ? (Array.isArray(answer.result) ? answer.result : answer.result.lines ?? []) : [answer.error];
      fill(pre, visible(found.map((line) => (typeof line === 'string' ? line : line.text ?? JSON.stringify(line))).join('\n') || 'Nothing is written yet.'));
      pre.scrollTop = pre.scrollHeight;
    };
    lines.addEventListener('change', fetch);
    fill(this.panel, h('div', { class: 'tools' }, lines, button('Refresh', null, fetch, 'safe')), pre);
    fetch();
  }

  history() {
    const name = this.page.chosen;
    const rows = this.page.model.decided.filter((row) => row.agent === name);
    const kinds = { approved: ['good', `deployed`], failed: ['bad', 'failed'], denied: ['warn', 'denied'] };
    fill(this.panel, rows.length ? h('ol', {}, rows.map((row) => h('li', { class: 'message' }, h('div', { class: 'who' }, h('b', { class: kinds[row.status]?.[0] ?? '' }, `${kinds[row.status]?.[1] ?? row.status}/${row.id}`), h('span', { class: 'mono' }, row.sha_short ?? ''), h('span', { class: 'grow' }), row.resolved_at ? new Date(time(row.resolved_at) * 1000).toLocaleString() : ''), row.description && visible(row.description), row.note && h('div', { class: 'dim' }, visible(row.note))))) : h('p', { class: 'empty' }, 'Nothing was decided about it yet.'));
  }
}
