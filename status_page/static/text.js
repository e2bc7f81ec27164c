// Elements made of data: text from agents is only ever text, and what is hidden in it is made to be seen.

export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'class') element.className = value;
    else if (name === 'dataset') Object.assign(element.dataset, value);
    else if (name in element && typeof value !== 'string') element[name] = value;
    else element.setAttribute(name, value === true ? '' : value);
  }
  element.append(...shown(children));
  return element;
}

const shown = (children) => children.flat(9).filter((child) => child !== null && child !== undefined && child !== false);

export const fill = (element, ...children) => element.replaceChildren(...shown(children));

// Controls but line break and tab, bidi marks, zero widths, tags and variation selectors: as their numbers.
const HIDDEN = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\u{e0000}-\u{e0fff}]/gu;

export function visible(text) {
  const parts = [];
  let from = 0;
  for (const found of String(text ?? '').matchAll(HIDDEN)) {
    parts.push(text.slice(from, found.index));
    const number = found[0].codePointAt(0).toString(16).toUpperCase().padStart(4, '0');
    parts.push(h('span', { class: 'seen', title: 'a hidden character' }, `U+${number}`));
    from = found.index + found[0].length;
  }
  parts.push(String(text ?? '').slice(from));
  return parts;
}

export function cut(text, most) {
  const all = [...String(text ?? '').replace(/\s+/g, ' ').trim().slice(0, most * 4)];
  return all.length > most ? all.slice(0, most - 1).join('') + '…' : all.join('');
}

export function span(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} m`;
  if (s < 86400) return `${Math.floor(s / 3600)} h`;
  return `${Math.floor(s / 86400)} d`;
}

export const clock = (seconds) => new Date(seconds * 1000).toTimeString().slice(0, 5);
export const moment = (value) => (typeof value === 'number' ? value : Date.parse(value) / 1000);
export const plural = (count, one) => `${count} ${one}${count === 1 ? '' : 's'}`;

export function size(bytes) {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let at = 0;
  while (bytes >= 1024 && at < 4) { bytes /= 1024; at += 1; }
  return `${at ? bytes.toFixed(1) : bytes} ${units[at]}`;
}
