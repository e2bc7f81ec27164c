// A call of a tool in a line, as a person would say it; what was given and what came back are folded under it.
import { markdown } from "./markdown.js";
import { make, span } from "./text.js";

const LONGEST_BRIEF = 200;

// The tools that hive itself gives an agent: what each is called, and what of its input says the rest.
const HIVE = {
  send: (input) => [`→ ${word(input.to)}`, input.body],
  recv: (input) => ["waits for messages", input.wait ? `up to ${word(input.wait)} s` : ""],
  recent: () => ["looks through its messages", ""],
  ask: (input) => [`asks ${word(input.to) || "the operator"}`, input.question],
  ask_operator: (input) => ["asks the operator", input.question],
  answer: (input) => [`answers question ${word(input.id)}`, input.text],
  request_commit: (input) => [`asks for a deploy of ${word(input.name)}`, input.description || input.sha],
  request_spawn: (input) => [`asks for a new agent ${word(input.name)}`, input.description],
};
// Those of the programs that agents run: what of the input says it.
const OTHERS = { Bash: "command", Read: "file_path", Write: "file_path", Edit: "file_path", Glob: "pattern", Grep: "pattern",
  WebFetch: "url", WebSearch: "query", Task: "description", shell: "command", command: "command" };
// Input that is a text for somebody, and so is shown as one.
const SAID = ["body", "question", "text", "description"];

const word = (value) => (value === undefined || value === null ? "" : String(value));

// [what is done, with what], each in a line.
export function said(name, input) {
  const given = input && typeof input === "object" && !Array.isArray(input) ? input : {};
  const own = /^mcp__hive__(\w+)$/.exec(name ?? "");
  const known = own && HIVE[own[1]];
  if (known) return known(given).map(brief);
  const foreign = /^mcp__(.+?)__(.+)$/.exec(name ?? "");
  const title = own ? own[1].replaceAll("_", " ") : foreign ? `${foreign[1]} · ${foreign[2]}` : word(name) || "a tool";
  const value = given[OTHERS[name]] ?? Object.values(given).filter((each) => typeof each === "string").join(" · ");
  return [title, value].map(brief);
}

function brief(value) {
  const text = Array.isArray(value) ? value.join(" ") : word(value);
  return text.slice(0, 4 * LONGEST_BRIEF).replace(/\s+/g, " ").trim().slice(0, LONGEST_BRIEF);
}

// The box of a call; `done` puts its result in.
export function call(data, at) {
  const box = make("details", "tool");
  const head = make("summary");
  const mark = make("span", "mark");
  const [title, rest] = said(data.name, data.input);
  const how = make("span", "how");
  head.append(mark, make("b", "", title), make("span", "rest", rest), how);
  box.append(head);
  // Nothing is made of a large input before somebody looks.
  box.addEventListener("toggle", () => head.after(given(data)), { once: true });
  state("running", "runs");

  function state(name, text) {
    box.dataset.state = name;
    mark.title = text;
    mark.setAttribute("role", "img");
    mark.setAttribute("aria-label", text);
  }

  return {
    box,
    done(result, then) {
      state(result.is_error ? "wrong" : "done", result.is_error ? "failed" : "done");
      const text = word(result.text);
      const lines = text.trim() ? text.trimEnd().split("\n").length : 0;
      const took = then - at >= 1 ? span(then - at) : "";
      how.textContent = [lines > 1 ? `${lines} lines` : "", took].filter(Boolean).join(" · ");
      const shownResult = make("pre", "result", text.trim() ? text : "(nothing)");
      shownResult.tabIndex = 0;
      box.append(shownResult);
    },
    // Its turn has ended without a result.
    over() {
      if (box.dataset.state === "running") state("gone", "without a result");
    },
  };
}

function given(data) {
  const node = make("div", "given");
  const input = data.input && typeof data.input === "object" ? { ...data.input } : data.input;
  if (/^mcp__hive__/.test(data.name ?? "")) {
    for (const name of SAID.filter((each) => typeof input?.[each] === "string")) {
      const text = make("div", "text");
      text.append(markdown(input[name]));
      node.append(text);
      delete input[name];
    }
  } else if (typeof input?.command === "string") {
    node.append(make("pre", "command", input.command));
    delete input.command;
  }
  if (input && typeof input === "object") {
    const lines = Object.entries(input).map(([name, value]) =>
      `${name}: ${typeof value === "string" ? value : JSON.stringify(value, null, 2)}`);
    if (lines.length) node.append(make("pre", "", lines.join("\n")));
  } else if (input !== undefined && input !== null) node.append(make("pre", "", input));
  for (const box of node.querySelectorAll("pre")) box.tabIndex = 0;
  return node;
}
