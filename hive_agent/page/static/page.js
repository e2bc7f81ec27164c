// One cold load, then one stream. Everything from the agent is put in as text, never as markup.
import { markdown } from "./markdown.js";
import { clock, day, make, shown, span, when } from "./text.js";
import { call } from "./tools.js";

const RETRY_MS = [500, 1000, 2000, 5000];
const STATES = {
  starting: "starting", idle: "idle", thinking: "thinking", compacting: "compacting",
  rate_limited: "rate limited", needs_login: "needs login", no_program: "no program",
  key_refused: "key refused", account_trouble: "account trouble",
};
const TRIES_AGAIN = ["key_refused", "account_trouble"];
const at = (id) => document.getElementById(id);
const narrow = matchMedia("(max-width: 760px)");
const key = takeKey();
const turns = new Map(); // id -> {node, head, events, why, tools}
// What was written on this page has the agent itself as its sender, and begins so.
const FROM_PAGE = "(written on your page)\n\n";
let now = {};
let seq = 0;
let loaded = false;
let connected = false;
let lastDay = null;
const MOST_TURNS = 60;

function takeKey() {
  // The key comes behind the '#', which no browser sends anywhere, and stays in this tab alone.
  const given = new URLSearchParams(location.hash.slice(1)).get("key");
  if (given) {
    sessionStorage.setItem("key", given);
    history.replaceState(null, "", location.pathname);
  }
  return sessionStorage.getItem("key");
}

async function ask(path, body) {
  const headers = { Authorization: `Bearer ${key}` };
  const options = body === undefined ? { headers } : { method: "POST", headers, body: JSON.stringify(body) };
  const response = await fetch(path, options);
  const answer = await response.json();
  if (response.ok) return answer;
  throw Object.assign(new Error(answer.error), { status: response.status });
}

// The stream.

async function live() {
  for (let failures = 0; ; failures++) {
    try {
      if (!loaded) await load();
      await stream(() => { failures = 0; });
    } catch (error) {
      if (error.status === 401) return lock(error.message);
    }
    connected = false;
    badge("gone", "not connected");
    await new Promise((resolve) => setTimeout(resolve, RETRY_MS[Math.min(failures, RETRY_MS.length - 1)]));
  }
}

async function load() {
  const state = await ask("api/state");
  turns.clear();
  lastDay = null;
  at("turns").replaceChildren();
  now = state.now; // Whose page it is, before anything is said of messages.
  state.turns.forEach(showTurn);
  state.events.forEach(showEvent);
  showNow(state.now);
  seq = state.seq;
  loaded = true;
  at("composer").hidden = false;
  const box = scroller();
  box.scrollTop = box.scrollHeight;
}

// On a narrow screen inbox and turns scroll together.
function scroller() {
  return narrow.matches ? document.querySelector("main") : at("turns");
}

async function stream(begun) {
  // EventSource cannot send the key in a header, so its few lines of protocol are read here.
  const headers = { Authorization: `Bearer ${key}`, "Last-Event-ID": String(seq) };
  const response = await fetch("events", { headers });
  if (!response.ok) throw Object.assign(new Error((await response.json()).error), { status: response.status });
  begun();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const parts = (buffer + value).split("\n\n");
    buffer = parts.pop();
    for (const part of parts) take(part);
  }
}

function take(part) {
  const fields = Object.fromEntries(part.split("\n").map((line) => line.split(/: (.*)/s, 2)));
  if (!fields.data) return;
  const value = JSON.parse(fields.data);
  const box = scroller();
  const atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 60;
  if (fields.event === "now") showNow(value);
  if (fields.event === "turn") showTurn(value);
  if (fields.event === "event") { showEvent(value); seq = value.seq; }
  if (fields.event === "reset") { loaded = false; throw new Error("loading anew"); }
  if (atEnd) box.scrollTop = box.scrollHeight;
}

// What is shown.

function badge(state, text) {
  at("badge").hidden = false;
  at("badge").dataset.state = state;
  at("state").textContent = text;
}

function showNow(value) {
  now = value;
  connected = true;
  document.title = `${STATES[now.state] === "idle" ? "" : "● "}${now.label}`;
  at("label").textContent = shown(now.label);
  at("model").hidden = false;
  at("model").textContent = shown(now.next_model || now.model || "default model");
  at("paused").hidden = !now.paused;
  at("cancel").hidden = !["thinking", "compacting"].includes(now.state);
  at("detail").textContent = shown([now.text === "paused" ? "" : now.text, now.gate].filter(Boolean).join(" · "));
  notice();
  login();
  tick();
  at("count").textContent = now.inbox.length || "";
  at("messages").replaceChildren(...now.inbox.slice().reverse().map(message));
}

function notice() {
  const name = shown(now.label);
  const lines = [];
  if (now.paused) lines.push(["Paused: no further turn begins. ", `hive resume ${name}`, " lets it go on."]);
  at("notice").hidden = lines.length === 0;
  at("notice").replaceChildren(...lines.map(([before, command, after]) => {
    const line = make("div");
    line.append(before, make("code", "", command), after);
    return line;
  }));
}

// Whether a login was seen here before it ended: only then its good end is news.
let attempt = false;

function login() {
  const state = (now.login && now.login.state) || "none";
  const going = ["starting", "link", "checking"].includes(state);
  if (going) attempt = true;
  const done = state === "done" && attempt;
  const hidden = now.state !== "needs_login" && state !== "checking" && !done;
  at("login").hidden = hidden;
  if (hidden) return;
  const showsLink = state === "link" && /^https:\/\//.test(now.login.link);
  at("login").dataset.state = state;
  at("login-title").textContent = done ? "Logged in" : `Log ${shown(now.label)} in`;
  at("login-text").replaceChildren(...explained(done ? "done" : state));
  at("login-steps").hidden = !showsLink;
  at("login-paste").hidden = !(showsLink && now.login.takes_code);
  if (showsLink) {
    at("login-link").href = now.login.link;
    at("login-link").textContent = `${new URL(now.login.link).host} ↗`;
  } else {
    at("login-link").removeAttribute("href");
    at("login-code").value = "";
  }
  const said = going ? now.login.said : "";
  at("login-said").hidden = !said;
  at("login-said").textContent = shown(said);
  // Where no code is brought back, what the program says is what to do at the link.
  at("login-said").classList.toggle("failed", Boolean(now.login && now.login.takes_code));
  at("login-start").hidden = going || done;
  at("login-start").textContent = state === "failed" ? "Try again" : "Log in";
  at("login-cancel").hidden = !going && !done;
  at("login-cancel").textContent = done ? "Close" : "Cancel";
}

function explained(state) {
  const texts = {
    starting: ["Waiting for the link…"],
    link: ["The link belongs to this one login, and is good for ten minutes."],
    checking: ["The code is being checked…"],
    done: ["The agent goes on by itself."],
    failed: [make("span", "failed", now.login && now.login.said)],
  };
  return texts[state] || [
    "It has no account to work with, and only a human can give it one. At its machine, ",
    make("code", "", `hive login ${now.label}`), " does the same.",
  ];
}

// The badge says what the harness says; only the time since then is counted here.
function tick() {
  if (!connected) return;
  let text = STATES[now.state] || shown(now.state);
  if (now.state === "rate_limited" && now.until) text += ` until ${clock(now.until)}`;
  if (TRIES_AGAIN.includes(now.state) && now.until) text += `, next try at ${clock(now.until)}`;
  if (["thinking", "compacting"].includes(now.state)) text += ` ${span(Date.now() / 1000 - now.since)}`;
  // Idle with a word to it: a turn has failed, or the program is missing.
  badge(now.state === "idle" && now.text && !now.paused ? "troubled" : now.state, text);
}

function message(value) {
  const item = make("li");
  const about = make("div", "about");
  const [from, body] = wording(value.from, value.body);
  about.append(make("b", "", from), when(value.at));
  if (value.redelivered) about.append(make("span", "", "delivered again"));
  item.append(about, make("div", "body", readable(value.from, body)));
  return item;
}

// What the system tells is JSON: a line for each field.
function readable(sender, body) {
  if (sender !== "system" || !body.startsWith("{")) return body;
  let fields;
  try {
    fields = JSON.parse(body);
  } catch {
    return body; // The record is the agent's: what stands there may be anything.
  }
  return Object.entries(fields)
    .map(([name, value]) => `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`).join("\n");
}

// Who wrote a message, as this page calls them, and what.
function wording(sender, body) {
  const here = sender === now.label && body.startsWith(FROM_PAGE);
  return here ? ["on this page", body.slice(FROM_PAGE.length)] : [sender, body];
}

// A message as it is read: what the system tells line by line, what anybody else writes as Markdown.
function written(sender, body) {
  const box = make("div", "message");
  if (sender === "system") box.textContent = shown(readable(sender, body));
  else box.append(markdown(body));
  box.classList.toggle("text", sender !== "system");
  box.tabIndex = 0;
  return box;
}

function showTurn(turn) {
  const found = turns.get(turn.id) || begin(turn);
  const about = make("div", "about");
  const [sender, body] = wording(turn.sender, turn.body);
  about.append(make("b", "", sender), when(turn.started));
  if (turn.redelivered) about.append(make("span", "", "delivered again"));
  if (turn.model) about.append(make("span", "", turn.model));
  if (turn.ended) {
    const bad = !["done", "cancelled", "stopped"].includes(turn.outcome);
    const word = turn.outcome === "done" ? "" : `${turn.outcome.replace("_", " ")} · `;
    about.append(make("span", bad ? "end bad" : "end", `${word}${span(turn.ended - turn.started)}`));
    for (const tool of found.tools.values()) tool.over();
  }
  found.head.replaceChildren(about, found.message ??= written(turn.sender, body));
  // The first line says what it was; a program's output stands above already.
  if (turn.ended && !["done", "cancelled"].includes(turn.outcome)) found.why.textContent = shown((turn.detail || "").split("\n")[0]);
}

function begin({ id, started }) {
  const node = make("article");
  const found = { node, head: make("header"), events: make("div", "events"), why: make("div", "events note failed"), tools: new Map() };
  node.append(found.head, found.events, found.why);
  const title = day(started);
  if (title !== lastDay) at("turns").append(make("h2", "day", title));
  lastDay = title;
  turns.set(id, found);
  at("turns").append(node);
  if (turns.size > MOST_TURNS) {
    const [oldest, gone] = turns.entries().next().value;
    turns.delete(oldest);
    gone.node.remove();
    // A day without a turn left needs no heading.
    for (let first = at("turns").firstElementChild; first.nextElementSibling?.matches(".day"); first = at("turns").firstElementChild) first.remove();
  }
  return found;
}

function showEvent(event) {
  const turn = turns.get(event.turn);
  if (!turn) return;
  const data = event.data;
  const note = (text) => turn.events.append(make("div", "note", text));
  if (data.cut) note(`(an event too large to keep whole) ${data.start.slice(0, 500)}`);
  else if (event.kind === "text" && data.text) {
    const box = make("div", "text");
    box.append(markdown(String(data.text)));
    turn.events.append(box);
  } else if (event.kind === "thinking" && data.text) turn.events.append(make("div", "thinking", data.text));
  else if (event.kind === "tool_call") {
    const tool = call(data, event.at);
    turn.tools.set(data.id, tool);
    turn.events.append(tool.box);
  } else if (event.kind === "tool_result") {
    const tool = turn.tools.get(data.id);
    if (tool) tool.done(data, event.at);
    else turn.events.append(make("pre", "", data.text));
  } else if (event.kind === "note") note(data.text);
  else if (event.kind === "compacting") note("compacting the conversation…");
  else if (event.kind === "retry") note(`trying again (${data.error || data.error_status || "no answer"})`);
}

function lock(text) {
  sessionStorage.removeItem("key");
  document.body.classList.add("locked");
  badge("gone", "locked");
  at("notice").hidden = false;
  at("notice").replaceChildren(
    "This page needs the key of the agent's present start: ", make("code", "", `hive open ${now.label || "NAME"}`),
    " prints the link with it.");
  connected = false;
}

// What can be done.

async function act(path, body, done) {
  try {
    await ask(path, body);
    at("said").textContent = done;
    return true;
  } catch (error) {
    at("said").textContent = shown(error.message);
    return false;
  }
}

async function submit() {
  const text = at("text").value.trim();
  if (!text) return;
  const [word, ...rest] = text.split(/\s+/);
  let done;
  if (word === "/cancel") done = await act("api/cancel", {}, "The turn was asked to end.");
  else if (word === "/model" && rest.length === 1) done = await act("api/model", { model: rest[0] }, "From the next turn on.");
  else if (word.startsWith("/") && /^\/\w+$/.test(word)) at("said").textContent = "Commands: /model NAME (or default), /cancel.";
  else done = await act("api/send", { body: text }, "");
  if (done) at("text").value = "";
}

at("composer").addEventListener("submit", (event) => { event.preventDefault(); submit(); });
at("text").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); submit(); }
});
async function loginAct(path, body) {
  const buttons = at("login").querySelectorAll("button");
  buttons.forEach((button) => { button.disabled = true; });
  try {
    await ask(path, body);
    return true;
  } catch (error) {
    at("login-said").hidden = false;
    at("login-said").classList.add("failed");
    at("login-said").textContent = shown(error.message);
    return false;
  } finally {
    buttons.forEach((button) => { button.disabled = false; });
  }
}

at("login-start").addEventListener("click", () => loginAct("api/login", {}));
at("login-cancel").addEventListener("click", () => {
  attempt = false;
  loginAct("api/login-cancel", {});
});
at("login-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const code = at("login-code").value.trim();
  if (code && await loginAct("api/login-code", { code })) at("login-code").value = "";
});
at("cancel").addEventListener("click", () => act("api/cancel", {}, "The turn was asked to end."));
at("model").addEventListener("click", () => {
  at("text").value = "/model ";
  at("text").focus();
});
if (narrow.matches) {
  at("inbox").open = false;
  at("text").placeholder = "Message or /command";
}
setInterval(tick, 1000);
if (key) live();
else lock();
