// A unified diff, file by file.
import { cut, html } from './text.js';

const LONGEST = 4000;
const drawn = new Map();

export function diff(text) {
	if (drawn.size > 9) drawn.clear();
	if (!drawn.has(text)) drawn.set(text, files(text));
	return drawn.get(text);
}

function files(text) {
	let left = 4000;
	// Not by a pattern: to that a line begins behind U+2028, too.
	return `\n${text}`.split('\ndiff --git ').slice(1).map((part) => {
		const [head, ...all] = part.replace(/\n$/, '').split('\n');
		const about = all.splice(0, all.findIndex((line) => line[0] === '@') >>> 0).filter((line) => !/^(index|---|\+\+\+) /.test(line));
		const count = (sign) => all.filter((line) => line[0] === sign).length;
		const shown = all.slice(0, Math.max(0, left));
		const more = all.length - shown.length;
		left -= all.length;
		return html`<details class=file open=${shown[0] || about[0]}>
			<summary>${head.replace(/^a\/(.+) b\/\1$/, '$1')} <span class=good>+${count('+')}<//> <span class=bad>−${count('-')}<//><//>
			<div class=diff tabindex=0>${about.map(hunk)}${rows(shown)}${more > 0 && hunk(`${more} more lines, all of which hive show has`)}</div>
		<//>`;
	});
}

const hunk = (line) => html`<div class=hunk>${cut(line, LONGEST)}</div>`;
const plain = (line) => (line[0] === '@' ? hunk(line) : html`<div class=${{ '+': 'add', '-': 'del' }[line[0]]}>${cut(line, LONGEST)}</div>`);

function rows(lines) {
	const out = [];
	const run = (at, mark) => {
		const from = at;
		while (lines[at]?.[0] === mark) at += 1;
		return lines.slice(from, at);
	};
	for (let at = 0; at < lines.length; at += 1) {
		const taken = run(at, '-');
		const added = taken[0] ? run(at + taken.length, '+') : taken;
		if (!taken[0]) out.push(plain(lines[at]));
		else {
			const pairs = taken.map((line, index) => added[index] && words(line, added[index]));
			[taken, added].forEach((some, side) => out.push(...some.map((line, index) => pairs[index]?.[side] ?? plain(line))));
			at += taken.length + added.length - 1;
		}
	}
	return out;
}

// What two lines have not in common at both ends is marked, where they have anything in common.
function words(...pair) {
	const [a, b] = pair.map((line) => cut(line, LONGEST).slice(1).split(/(?<=\W)|(?=\W)/u));
	let head = 0;
	while (head < a.length && a[head] === b[head]) head += 1;
	let tail = 0;
	while (tail < Math.min(a.length, b.length) - head && a.at(-1 - tail) === b.at(-1 - tail)) tail += 1;
	return head + tail < 2 ? [] : [a, b].map((parts, side) => {
		const [start, middle, end] = [[0, head], [head, parts.length - tail], [parts.length - tail]].map((part) => parts.slice(...part).join(''));
		return html`<div class=${side ? 'add' : 'del'}>${side ? '+' : '-'}${start}<mark>${middle}</mark>${end}</div>`;
	});
}
