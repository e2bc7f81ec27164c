// Elements made of data: text is only ever text, and what is hidden in it is made to be seen.
import { h } from './preact.js';
import htm from './htm.js';

// Controls but line break and tab, bidi marks, zero widths, tags, variation selectors.
const HIDDEN = /(?![\n\t])[\p{Cc}\p{Cf}\p{DI}]/gu;
const number = (found) => `U+${found.codePointAt(0).toString(16).toUpperCase().padStart(4, '0')}`;

function visible(child) {
	if (typeof child !== 'string' || child.search(HIDDEN) < 0) return child;
	const marks = child.match(HIDDEN);
	return child.split(HIDDEN).flatMap((text, at) => (at ? [h('span', { class: 'seen' }, number(marks[at - 1])), text] : text));
}
export const html = htm.bind((tag, props, ...children) => h(tag, props, ...children.flat(9).map(visible)));

// As one text, without the colours of a terminal.
export const plain = (text) => text.replace(/\u001b\[[\d;]*m/g, '').replace(HIDDEN, number);

export const cut = (text, most) => (text?.length > most ? `${text.slice(0, most)}…` : text);

export function span(seconds) {
	const s = Math.max(0, Math.floor(seconds));
	const [size, unit] = s < 60 ? [1, 's'] : s < 3600 ? [60, 'm'] : s < 86400 ? [3600, 'h'] : [86400, 'd'];
	return `${Math.floor(s / size)} ${unit}`;
}

export const time = (value) => (typeof value === 'number' ? value : value ? Date.parse(value) / 1000 : 0);
export const clock = (seconds) => new Date(seconds * 1000).toTimeString().slice(0, 5);
export const moment = (seconds) => new Date(seconds * 1000).toLocaleString(undefined, { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit', hour12: false });

export const plural = (count, one) => `${count} ${one}${count === 1 ? '' : 's'}`;
export const capital = (word) => word[0].toUpperCase() + word.slice(1);

export function size(bytes) {
	const at = bytes < 1024 ? 0 : Math.min(4, Math.floor(Math.log2(bytes) / 10));
	return `${at ? (bytes / 1024 ** at).toFixed(1) : bytes} ${['B', 'KiB', 'MiB', 'GiB', 'TiB'][at]}`;
}
