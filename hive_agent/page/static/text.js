// Text of agents as a person may look at it, and the words for times.

// What turns writing around or cannot be seen is written out, as on the command line.
export function shown(text) {
  return String(text).replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}\u2028\u2029]/gu, (character) =>
    character === "\n" || character === "\t" ? character : `\\u{${character.codePointAt(0).toString(16)}}`);
}

export function make(tag, kind, text) {
  const node = document.createElement(tag);
  if (kind) node.className = kind;
  if (text !== undefined && text !== null) node.textContent = shown(text);
  return node;
}

// A moment: its time of day, with the day before it where that is another one. The whole of it on hover.
export function when(seconds) {
  const node = make("time", "", clock(seconds));
  const then = new Date(seconds * 1000);
  if (!Number.isNaN(then.getTime())) {
    node.dateTime = then.toISOString();
    node.title = then.toLocaleString([], { dateStyle: "full", timeStyle: "medium" });
  }
  return node;
}

export function clock(seconds) {
  const then = new Date(seconds * 1000);
  const time = then.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
  return isToday(then) ? time : `${then.toLocaleDateString([], { day: "numeric", month: "short" })} ${time}`;
}

// The day of a moment, as a heading: Today, Yesterday, Monday 23 November.
export function day(seconds) {
  const then = new Date(seconds * 1000);
  if (isToday(then)) return "Today";
  const yesterday = new Date();
  yesterday.setDate(yesterday.getDate() - 1);
  if (then.toDateString() === yesterday.toDateString()) return "Yesterday";
  const year = then.getFullYear() === new Date().getFullYear() ? {} : { year: "numeric" };
  return then.toLocaleDateString([], { weekday: "long", day: "numeric", month: "long", ...year });
}

function isToday(then) {
  return then.toDateString() === new Date().toDateString();
}

export function span(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor(whole / 60) % 60} min`;
}
