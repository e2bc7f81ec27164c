// What the page knows: a cold load of everything, and each event applied to it. Looks at nothing else, so that it can be
// held against another cold load after any history.

// Events that the page keeps to show; what a cold load begins with says how many rows of the rest there are.
export const MOST_EVENTS = 200;

const REQUEST = ['id', 'agent', 'approval_kind', 'sha_short', 'sha', 'commit_ref', 'description', 'requested_by', 'requested_at'];
const OUTCOME = [...REQUEST, 'status', 'resolved_at', 'note'];
const QUESTION = ['id', 'asker', 'target', 'question', 'options', 'multi', 'asked_at', 'deadline_at'];
const STEP = ['step', 'state', 'at'];
const MESSAGE = ['id', 'from', 'to', 'body', 'at'];
const OPERATION = ['name', 'transient_kind', 'since_unix', 'steps'];

const by = (rows, key) => new Map(rows.map((row) => [row[key], row]));
const only = (names, row) => Object.fromEntries(names.map((name) => [name, row[name] ?? null]));

export function load(state) {
  return {
    seq: state.seq,
    agents: by(state.agents, 'name'),
    requests: by(state.approvals.map((row) => only(REQUEST, row)), 'id'),
    decided: state.decided.map((row) => only(OUTCOME, row)).reverse(),
    questions: by(state.questions.map((row) => only(QUESTION, row)), 'id'),
    messages: state.messages.map((row) => only(MESSAGE, row)),
    tombstones: state.tombstones,
    inputs: state.inputs,
    operations: by(state.operations.map((row) => only(OPERATION, row)), 'name'),
    haltedAt: state.halted_at ?? null,
    limits: state.limits,
    events: [],
  };
}

// Applies one event and returns which parts of the page changed; none for one that was applied already.
export function apply(model, event) {
  if (event.seq <= model.seq) return [];
  model.seq = event.seq;
  model.events = [...model.events.slice(1 - MOST_EVENTS), event];
  return ['activity', ...(EVENTS[event.kind]?.(model, event) ?? [])];
}

const EVENTS = {
  sent(model, event) {
    if (event.from === 'system') return [];
    const body = [...event.body].slice(0, model.limits.characters).join('');
    model.messages = [...model.messages, only(MESSAGE, { ...event, body })].slice(-model.limits.rows);
    return ['messages'];
  },
  approval_added(model, event) {
    model.requests.set(event.id, only(REQUEST, event));
    return ['needs'];
  },
  approval_resolved(model, event) {
    model.requests.delete(event.id);
    const decided = [only(OUTCOME, event), ...model.decided.filter((row) => row.id !== event.id)];
    model.decided = decided.slice(0, model.limits.rows);
    return ['needs', 'detail'];
  },
  question_added(model, event) {
    if ((event.target ?? 'operator') !== 'operator') return [];
    model.questions.set(event.id, only(QUESTION, event));
    return ['needs'];
  },
  question_resolved(model, event) {
    return model.questions.delete(event.id) ? ['needs'] : [];
  },
  transient_set(model, event) {
    model.operations.set(event.name, only(OPERATION, event));
    return ['agents', 'detail'];
  },
  operation_step(model, event) {
    const operation = model.operations.get(event.name);
    if (!operation) return [];
    const steps = [...(operation.steps ?? [])];
    const at = steps.findIndex((step) => step.step === event.step);
    steps[at < 0 ? steps.length : at] = only(STEP, event);
    model.operations.set(event.name, { ...operation, steps });
    return ['agents', 'detail'];
  },
  transient_cleared(model, event) {
    return model.operations.delete(event.name) ? ['agents', 'detail'] : [];
  },
  container_state_changed(model, event) {
    model.agents.set(event.container.name, event.container);
    return ['agents', 'needs', 'detail'];
  },
  container_removed(model, event) {
    model.agents.delete(event.name);
    model.operations.delete(event.name);
    return ['agents', 'needs', 'detail'];
  },
  tombstones_changed(model, event) {
    model.tombstones = event.tombstones;
    return ['agents'];
  },
  halted(model, event) {
    model.haltedAt = event.halted_at;
    return ['needs'];
  },
  resumed(model) {
    model.haltedAt = null;
    return ['needs'];
  },
  meta_inputs_changed(model, event) {
    model.inputs = event.inputs;
    return ['inputs'];
  },
};

// What needs the operator, oldest first: requests, questions, and agents that cannot go on by themselves.
export function needs(model) {
  const rows = [
    ...[...model.requests.values()].map((row) => ({ type: 'request', at: time(row.requested_at), key: `request-${row.id}`, row })),
    ...[...model.questions.values()].map((row) => ({ type: 'question', at: time(row.asked_at), key: `question-${row.id}`, row })),
    ...[...model.agents.values()].flatMap((row) => trouble(row).map((what) => ({ type: 'agent', at: time(what.at), key: `${what.kind}-${row.name}`, row, what }))),
  ];
  return rows.sort((a, b) => (a.at || Infinity) - (b.at || Infinity) || (a.key < b.key ? -1 : 1));
}

export const time = (value) => (typeof value === 'number' ? value : value ? Date.parse(value) / 1000 : 0);

function trouble(agent) {
  const since = agent.status_set_at ?? null;
  const found = [];
  if (agent.crash_loop) found.push({ kind: 'crash', text: `crash loop: ${agent.cause ?? 'ended again and again'}`, at: null });
  else if (agent.failed) found.push({ kind: 'crash', text: `crashed: ${agent.cause ?? 'unknown cause'}`, at: null });
  if (agent.turn === 'key_refused') found.push({ kind: 'login', text: 'its key was refused', at: since });
  else if (agent.turn === 'account_trouble') found.push({ kind: 'account', text: agent.status_text ?? 'its account is in trouble', at: since });
  else if (agent.needs_login) found.push({ kind: 'login', text: 'needs login', at: since });
  if (agent.repair) found.push({ kind: 'repair', text: `left half-done: ${agent.repair}`, at: null });
  if (agent.port_taken) found.push({ kind: 'port', text: `port ${agent.port_taken} is another program's`, at: null });
  return found;
}
