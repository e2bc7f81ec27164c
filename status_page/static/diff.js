// A unified diff, file by file, with the words marked that differ between two lines.
import { h, visible } from './text.js';

const MOST_LINES = 4000;
// What the file's own line says already.
const HEAD = /^(index |--- |\+\+\+ )/;

export function files(text) {
  const found = [];
  let file = null;
  for (const line of text.split('\n')) {
    if (line.startsWith('diff --git ')) { file = { name: name(line), lines: [] }; found.push(file); }
    else if (file && !(HEAD.test(line) && !file.lines.some((one) => one.startsWith('@@')))) file.lines.push(line);
    else if (file) continue;
    else if (line) { file = { name: '', lines: [line] }; found.push(file); }
  }
  return found;
}

const name = (line) => line.slice(line.lastIndexOf(' b/') + 3);

export function render(text) {
  let left = MOST_LINES;
  return files(text).map((file) => {
    const shown = file.lines.slice(0, Math.max(0, left));
    left -= file.lines.length;
    const cutOff = file.lines.length - shown.length;
    const added = file.lines.filter((l) => l.startsWith('+') && !l.startsWith('+++')).length;
    const taken = file.lines.filter((l) => l.startsWith('-') && !l.startsWith('---')).length;
    return h('details', { class: 'file', open: shown.length > 0 },
      h('summary', {}, visible(file.name), ' ', h('span', { class: 'good' }, `+${added}`), ' ', h('span', { class: 'bad' }, `−${taken}`)),
      h('div', { class: 'diff' }, lines(shown), cutOff > 0 && h('div', { class: 'hunk' }, `${cutOff} more lines: \`hive show\` has them all`)));
  });
}

function lines(all) {
  const out = [];
  for (let at = 0; at < all.length; at += 1) {
    const line = all[at];
    const next = all[at + 1] ?? '';
    const pair = line.startsWith('-') && next.startsWith('+') && !line.startsWith('---') && !(all[at + 2] ?? '').startsWith('+');
    if (pair && !(all[at - 1] ?? '').startsWith('-')) { out.push(...words(line, next)); at += 1; }
    else out.push(h('div', { class: kind(line) }, visible(line)));
  }
  return out;
}

function kind(line) {
  if (line.startsWith('@@') || /^(index|---|\+\+\+|new file|deleted file|old mode|new mode|similarity|rename)/.test(line)) return 'hunk';
  return line.startsWith('+') ? 'add' : line.startsWith('-') ? 'del' : '';
}

// What two lines have in common at both ends is the same; what is between is marked.
function words(before, after) {
  const [a, b] = [before.slice(1), after.slice(1)].map((line) => line.split(/(?<=\W)|(?=\W)/u));
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
  let tail = 0;
  while (tail < a.length - head && tail < b.length - head && a[a.length - 1 - tail] === b[b.length - 1 - tail]) tail += 1;
  const part = (parts, sign, type) => h('div', { class: type }, sign, visible(parts.slice(0, head).join('')),
    h('mark', {}, visible(parts.slice(head, parts.length - tail).join(''))), visible(parts.slice(parts.length - tail).join('')));
  return [part(a, '-', 'del'), part(b, '+', 'add')];
}
