// What the page knows: a cold load of everything, and each event applied to it. Looks at nothing else, so that it can be
// held against another cold load after any history.

const by = (rows, key) => new Map(rows.map((row) => [row[key], row]));
// What an event has beside the row that it tells of.
const rowOf = ({ seq, kind, at, diff, said, tone, ...row }) => row;
const message = ({ id, from, to, body, at }) => ({ id, from, to, body, at });

export const load = (state) => ({
	seq: state.seq,
	agents: by(state.agents, 'name'),
	requests: by(state.approvals.map(rowOf), 'id'),
	decided: state.decided.map(rowOf).reverse(),
	questions: by(state.questions, 'id'),
	messages: state.messages.map(message),
	noise: state.system_messages.map(message),
	tombstones: state.tombstones,
	inputs: state.inputs,
	fanOut: by(state.fan_out, 'agent'),
	haltedAt: state.halted_at ?? null,
	needs: by(state.needs, 'id'),
	operations: by(state.operations, 'name'),
	limits: state.limits,
	events: (state.events ?? []).filter(({ seq }) => seq <= state.seq),
});

export function apply(model, event) {
	if (event.seq <= model.seq) return;
	model.seq = event.seq;
	model.events = [...model.events.slice(-199), event];
	EVENTS[event.kind]?.(model, event);
}

const put = (model, { need }) => model.needs.set(need.id, need);
const EVENTS = {
	sent(model, event) {
		const kind = event.from === 'system' ? 'noise' : 'messages';
		const body = [...event.body].slice(0, model.limits.characters).join('');
		model[kind] = [...model[kind], message({ ...event, body })].slice(-model.limits.rows);
	},
	approval_added: (model, event) => model.requests.set(event.id, rowOf(event)),
	approval_resolved(model, event) {
		model.requests.delete(event.id);
		model.decided = [rowOf(event), ...model.decided.filter(({ id }) => id !== event.id)].slice(0, model.limits.rows);
	},
	question_added: (model, event) => (event.target ?? 'operator') === 'operator' && model.questions.set(event.id, rowOf(event)),
	question_resolved: (model, { id }) => model.questions.delete(id),
	transient_set: (model, event) => model.operations.set(event.name, rowOf(event)),
	operation_step(model, { name, step, state, at }) {
		const operation = model.operations.get(name);
		const steps = operation?.steps?.map((one) => (one.step === step ? { step, state, at } : one));
		if (steps) model.operations.set(name, { ...operation, steps });
	},
	transient_cleared: (model, { name }) => model.operations.delete(name),
	container_state_changed: (model, { container }) => model.agents.set(container.name, container),
	container_removed: (model, { name }) => model.agents.delete(name),
	tombstones_changed: (model, { tombstones }) => { model.tombstones = tombstones; },
	meta_inputs_changed: (model, { inputs }) => { model.inputs = inputs; },
	fan_out_changed(model, { gone, rows }) {
		for (const name of gone) model.fanOut.delete(name);
		for (const row of rows) model.fanOut.set(row.agent, row);
	},
	halted: (model, { halted_at: at }) => { model.haltedAt = at; },
	resumed: (model) => { model.haltedAt = null; },
	need_added: put,
	need_changed: put,
	need_resolved: (model, { need }) => model.needs.delete(need.id),
};

export function needs(model, which = 'now') {
	return [...model.needs.values()].filter(({ acknowledged_at: known, kind }) => (known ? 'known' : kind === 'stale' ? kind : 'now') === which).map((need) => {
		const rows = { request: model.requests, question: model.questions }[need.kind];
		const row = rows ? rows.get(Number(need.id.split('/')[1])) : model.agents.get(need.agent) ?? { name: need.agent };
		return { key: need.id.replace('/', '-'), at: need.since, need, row };
	}).filter(({ row }) => row).sort((a, b) => a.at - b.at || (a.key < b.key ? -1 : 1));
}
