// Markdown as models write it, made into nodes whose text is text: nothing in it can become markup, load or run anything.
// What it does not know stays as it was written.
import { make, shown } from "./text.js";

// A longer text is shown as it is: nobody reads it, and it may be made to take long.
const LONGEST = 50_000;
const DEEPEST = 6;
const MOST_CELLS = 2000;

const FENCE = /^ {0,3}(`{3,}|~{3,})\s*([^`\s]*)[^`]*$/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*\s*$/;
const RULE = /^ {0,3}([-*_])(\s*\1){2,}\s*$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const DIVIDER = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

export function markdown(text) {
  const all = document.createDocumentFragment();
  if (text.length > LONGEST) all.append(make("pre", "plain", text));
  else all.append(...blocks(text.replace(/\r\n?/g, "\n").split("\n"), 0));
  return all;
}

function blocks(lines, depth) {
  if (depth > DEEPEST) return [make("p", "", lines.join("\n"))];
  const found = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at];
    const begin = at;
    if (!line.trim()) { at += 1; continue; }
    const fence = FENCE.exec(line);
    const heading = HEADING.exec(line);
    if (fence) {
      at = endOfFence(lines, at, fence[1]);
      found.push(code(lines.slice(begin + 1, at), fence[2]));
      at += 1;
    } else if (heading) {
      found.push(filled(`h${Math.min(6, heading[1].length + 2)}`, heading[2]));
      at += 1;
    } else if (RULE.test(line)) {
      found.push(make("hr"));
      at += 1;
    } else if (QUOTE.test(line)) {
      while (at < lines.length && QUOTE.test(lines[at])) at += 1;
      const quote = make("blockquote");
      quote.append(...blocks(lines.slice(begin, at).map((each) => each.replace(QUOTE, "")), depth + 1));
      found.push(quote);
    } else if (ITEM.test(line)) {
      at = endOfList(lines, at);
      found.push(list(lines.slice(begin, at), depth));
    } else if (line.includes("|") && at + 1 < lines.length && DIVIDER.test(lines[at + 1])) {
      at += 2;
      while (at < lines.length && lines[at].includes("|")) at += 1;
      found.push(table(lines.slice(begin, at)));
    } else {
      at += 1;
      while (at < lines.length && !begins(lines[at])) at += 1;
      found.push(filled("p", lines.slice(begin, at).join("\n")));
    }
  }
  return found;
}

// Whether a line ends the paragraph before it.
function begins(line) {
  return !line.trim() || FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || ITEM.test(line);
}

function endOfFence(lines, at, fence) {
  const end = new RegExp(`^ {0,3}${fence[0]}{${fence.length},}\\s*$`);
  at += 1;
  while (at < lines.length && !end.test(lines[at])) at += 1;
  return at;
}

function code(lines, language) {
  const box = make("pre");
  box.append(make("code", "", lines.join("\n")));
  if (language) box.dataset.language = shown(language).slice(0, 20);
  return box;
}

// A list goes on over what is indented below an item, and over one empty line before another item.
function endOfList(lines, at) {
  const indent = ITEM.exec(lines[at])[1].length;
  while (at < lines.length) {
    const item = ITEM.exec(lines[at]);
    const next = lines[at].trim() ? lines[at] : lines[at + 1] ?? "";
    if (!next.trim()) return at;
    if (!item && !/^\s/.test(next) && !ITEM.test(next) && begins(lines[at])) return at;
    if (item && item[1].length < indent) return at;
    at += 1;
  }
  return at;
}

function list(lines, depth) {
  const first = ITEM.exec(lines[0]);
  const box = make(/\d/.test(first[2]) ? "ol" : "ul");
  if (box.tagName === "OL") box.start = parseInt(first[2], 10);
  let own = null;
  for (const line of lines) {
    const item = ITEM.exec(line);
    if (item && item[1].length <= first[1].length + 1) {
      if (own) box.append(entry(own, depth));
      own = [item[3]];
    } else own.push(line.replace(/^(\t| {1,4})/, ""));
  }
  box.append(entry(own, depth));
  return box;
}

function entry(lines, depth) {
  const item = make("li");
  const task = /^\[([ xX])\]\s+(.*)$/.exec(lines[0]);
  if (task) lines = [`${task[1] === " " ? "☐" : "☑"} ${task[2]}`, ...lines.slice(1)];
  if (task) item.className = "task";
  const parts = blocks(lines, depth + 1);
  // An item of one line is no paragraph.
  if (parts[0]?.tagName === "P") item.append(...parts.shift().childNodes);
  item.append(...parts);
  return item;
}

function table(lines) {
  const box = make("table");
  const cells = (line) => line.trim().replace(/^\||\|$/g, "").split("|").slice(0, 40);
  const sides = cells(lines[1]).map((cell) => (/:\s*$/.test(cell) ? (/^\s*:/.test(cell) ? "center" : "right") : "left"));
  let left = MOST_CELLS;
  for (const [number, line] of lines.entries()) {
    if (number === 1) continue;
    const row = make("tr");
    for (const [column, text] of cells(line).entries()) {
      if (left-- <= 0) break;
      const cell = filled(number ? "td" : "th", text.trim());
      cell.dataset.side = sides[column] ?? "left";
      row.append(cell);
    }
    box.append(row);
  }
  const scroller = make("div", "wide");
  scroller.tabIndex = 0;
  scroller.append(box);
  return scroller;
}

// --- what stands inside a line

// Each looks at no more than some hundred characters, so that no text takes long.
const INLINE = new RegExp([
  /\\([!-/:-@[-`{-~])/, // 1: escaped
  /(`{1,3})((?:(?!\2)[^]){1,400}?)\2(?!`)/, // 2, 3: code
  /\*\*(?=\S)((?:(?!\*\*)[^]){1,400}?[^\s*]\*?)\*\*/, // 4: strong
  /__(?=\S)((?:(?!__)[^]){1,400}?)__(?!\w)/, // 5: strong
  /\*(?=[^\s*])([^*\n]{1,300})\*(?!\*)/, // 6: emphasis
  /(?<!\w)_(?=[^\s_])([^_\n]{1,300})_(?!\w)/, // 7: emphasis
  /~~(?=\S)([^~]{1,300})~~/, // 8: deleted
  /!?\[([^\]\n]{0,300})\]\(<?(https?:\/\/[^\s<>()]{1,1000}(?:\([^\s<>()]{0,200}\))?[^\s<>()]{0,200})>?(?:\s+"[^"\n]{0,200}")?\)/, // 9, 10: link
  /<(https?:\/\/[^\s<>]{1,1000})>/, // 11: address
  /(?<![\w/])(https?:\/\/[^\s<>"'`]{1,1000}[^\s<>"'`.,;:!?)\]*_])/, // 12: address
].map((part) => part.source).join("|"), "gu");

function filled(tag, text, depth = 0) {
  const node = make(tag);
  node.append(...inline(text, depth));
  return node;
}

function inline(text, depth) {
  if (depth > DEEPEST) return [shown(text)];
  const found = [];
  let end = 0;
  for (const match of text.matchAll(INLINE)) {
    if (match.index > end) found.push(shown(text.slice(end, match.index)));
    end = match.index + match[0].length;
    found.push(part(match, depth + 1));
  }
  if (end < text.length) found.push(shown(text.slice(end)));
  return found;
}

function part(match, depth) {
  const [, escaped, , coded, strong, strong2, emphasis, emphasis2, deleted, label, target, address, bare] = match;
  if (escaped !== undefined) return escaped;
  if (coded !== undefined) return make("code", "", /^ .*[^ ].* $/.test(coded) ? coded.slice(1, -1) : coded);
  if (strong !== undefined || strong2 !== undefined) return filled("strong", strong ?? strong2, depth);
  if (emphasis !== undefined || emphasis2 !== undefined) return filled("em", emphasis ?? emphasis2, depth);
  if (deleted !== undefined) return filled("del", deleted, depth);
  if (target !== undefined) return link(target, label);
  return link(address ?? bare, null);
}

// Where a link leads is shown, not only what it is called: an agent may call it anything.
function link(target, label) {
  let url;
  try {
    url = new URL(target);
  } catch {
    return shown(label ?? target);
  }
  const node = make("a", "", label || target);
  node.href = url.href;
  node.target = "_blank";
  node.rel = "noopener noreferrer";
  node.title = shown(url.href);
  if (label && !label.includes(url.host)) node.append(make("span", "host", ` (${url.host})`));
  return node;
}
