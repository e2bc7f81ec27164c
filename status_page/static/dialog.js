// Questions to the operator, and short words.
import { fill, h, visible } from './text.js';

const dialog = document.getElementById('dialog');
let hiding = 0;

export function toast(text) {
  const place = document.getElementById('toast');
  fill(place, visible(text ?? ''));
  clearTimeout(hiding);
  hiding = setTimeout(() => fill(place), 8000);
}

// Asks; resolves to what was given, or null. fields: {name, label, hint, value, optional, rows, must}
export function ask({ title, text = '', does, fields = [], bad = false }) {
  return new Promise((resolve) => {
    const inputs = fields.map((field) => {
      const props = { name: field.name, required: !field.optional, autocomplete: 'off', value: field.value ?? '', 'aria-label': field.label };
      return field.rows ? h('textarea', { ...props, rows: field.rows }) : h('input', { ...props, type: 'text', spellcheck: 'false' });
    });
    const go = h('button', { class: bad ? 'bad' : 'main', type: 'submit' }, does);
    const check = () => { go.disabled = fields.some((field, at) => field.must && inputs[at].value !== field.must); };
    for (const input of inputs) input.addEventListener('input', check);
    const form = h('form', { method: 'dialog', onsubmit: () => end(Object.fromEntries(fields.map((field, at) => [field.name, inputs[at].value]))) },
      h('h2', { id: 'dialog-title' }, title), text && h('p', {}, visible(text)),
      fields.map((field, at) => h('label', {}, h('div', {}, field.label, field.hint && h('span', { class: 'dim' }, ` ${field.hint}`)), inputs[at])),
      h('div', { class: 'acts' }, h('button', { type: 'button', onclick: () => end(null) }, 'Cancel'), go));
    let ended = false;
    const end = (value) => {
      if (ended) return;
      ended = true;
      dialog.close();
      resolve(value);
    };
    dialog.onclose = () => end(null);
    fill(dialog, form);
    check();
    dialog.showModal();
    (inputs[0] ?? go).focus();
  });
}

export function keysHelp() {
  const keys = { '/': 'find', 'j k': 'next and previous agent', Enter: 'open', a: 'approve the first request', d: 'deny it', 'g n': 'go to what needs you',
    'g a': 'go to the agents', 'g m': 'messages of the chosen agent', 'g l': 'its logs', 'g i': 'what everything is built from', Esc: 'close', '?': 'this' };
  dialog.onclose = null;
  fill(dialog, h('h2', { id: 'dialog-title' }, 'Keys'),
    h('dl', {}, Object.entries(keys).map(([key, does]) => [h('dt', {}, key.split(' ').map((one) => [h('kbd', {}, one), ' '])), h('dd', {}, does)])),
    h('form', { method: 'dialog' }, h('div', { class: 'acts' }, h('button', {}, 'Close'))));
  dialog.showModal();
}
