// What the page knows: a cold load of everything, and each event applied to it. Looks at nothing else, so that it can be
// held against another cold load after any history.

// Events that the page keeps to show; of the rest a cold load says how many.
export const MOST_EVENTS = 200;

const REQUEST = ['id', 'agent', 'approval_kind', 'sha_short', 'sha', 'commit_ref', 'description', 'requested_by', 'requested_at'];
const OUTCOME = [...REQUEST, 'status', 'resolved_at', 'note'];
const QUESTION = ['id', 'asker', 'target', 'question', 'options', 'multi', 'asked_at', 'deadline_at'];
const STEP = ['step', 'state', 'at'];
const MESSAGE = ['id', 'from', 'to', 'body', 'at'];
const OPERATION = ['name', 'transient_kind', 'since_unix', 'steps'];

const NEED = ['id', 'kind', 'agent', 'since', 'text', 'quote', 'command', 'weight', 'acknowledged_at'];

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
    needs: by(state.needs.map((row) => only(NEED, row)), 'id'),
    limits: state.limits,
    events: [],
  };
}

// Applies an event that was not yet; returns which parts of the page changed.
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
    return [];
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
    return [];
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
  need_added: need,
  need_changed: need,
  need_resolved(model, event) {
    return model.needs.delete(event.need.id) ? ['needs'] : [];
  },
};

function need(model, event) {
  model.needs.set(event.need.id, only(NEED, event.need));
  return ['needs'];
}

// What needs the operator and is not acknowledged, oldest first, each with what it is about.
export function needs(model) {
  const about = {
    request: (need) => model.requests.get(Number(need.id.split('/')[1])),
    question: (need) => model.questions.get(Number(need.id.split('/')[1])),
    agent: (need) => model.agents.get(need.agent) ?? { name: need.agent ?? 'this machine' },
  };
  return [...model.needs.values()].filter((need) => !need.acknowledged_at).map((need) => {
    const type = need.kind in about ? need.kind : 'agent';
    return { type, at: need.since, key: need.id.replace('/', '-'), row: about[type](need), need };
  }).filter(({ row }) => row).sort((a, b) => a.at - b.at || (a.key < b.key ? -1 : 1));
}

export const time = (value) => (typeof value === 'number' ? value : value ? Date.parse(value) / 1000 : 0);
