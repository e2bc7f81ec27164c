// What an agent tells while it is looked at: its turns, and its log.
import { Component } from './preact.js';
import { ago, button, draft, draw, page, stream } from './page.js';
import { cut, html, plain, time } from './text.js';

const LONGEST = 6000;

class Followed extends Component {
	componentDidMount() { this.follow(); }

	componentWillUnmount() { this.stop.abort(); }

	componentDidUpdate(before) {
		if (this.over !== undefined && this.props.runs && !before.runs) this.follow();
	}

	async follow() {
		this.stop = new AbortController();
		const { signal } = this.stop;
		this.over = undefined;
		this.begin();
		const why = await stream.lines(this.props.path, signal, (item) => this.take(item));
		if (signal.aborted) return;
		this.over = why;
		draw();
	}

	ended() {
		return this.over !== undefined && html`<p class=dim>${this.over || button('It has ended. Again?', () => this.follow(), 'quiet')}</p>`;
	}
}

const runs = ({ name, running }) => page.live && Boolean(running) && !page.model.operations.has(name);
export const Turns = ({ name, agent }) => html`<${Live} path=${`api/turns/${name}?last=200`} runs=${runs(agent)} />`;

class Live extends Followed {
	turns = [];

	begin() { this.turns = []; }

	take({ kind, data }) {
		const turn = this.turns.find(({ id }) => id === (data?.turn ?? data?.id));
		if (kind === 'turn' && turn) Object.assign(turn, data);
		else if (kind === 'turn') this.turns = [...this.turns, { ...data, events: [] }].slice(-30);
		else if (kind === 'event' && turn) {
			const call = data.kind === 'tool_result' && turn.events.findLast((one) => one.kind === 'tool_call' && one.data.id === data.data.id);
			if (call) call.result = data.data;
			else turn.events = [...turn.events, data].slice(-200);
		}
		draw();
	}

	render() {
		return html`${this.ended()}${!this.turns[0] && this.over === undefined && html`<p class=empty>No turn yet.</p>`}
			<ol class=turns aria-label=Turns>${this.turns.toReversed().map(({ id, sender, body, started, ended, outcome, detail, events }) => html`<li class=message key=${id}>
				<div class=who><b>${sender}</b>turn ${id}<span class=grow />${ended ? html`<span class=${outcome === 'done' ? 'good' : 'bad'}>${outcome}<//>` : html`<span class=busy>at work<//>`}${ago(time(started))}</div>
				<div class=quote>${cut(body, LONGEST)}</div>${events.map((event) => html`<div key=${event.seq}>${SAID[event.kind]?.(event)}</div>`)}
				${ended && outcome !== 'done' && html`<div class=bad>${cut(detail, LONGEST)}</div>`}</li>`)}</ol>`;
	}
}

const text = ({ data }) => cut(data.text, LONGEST);
const SAID = {
	text,
	note: text,
	tool_result: text,
	thinking: (event) => html`<details class=tool><summary>thinking<//>${text(event)}<//>`,
	compacting: () => html`<span class=dim>compacts the conversation<//>`,
	tool_call({ data: { name, input }, result }) {
		const short = Object.values(input ?? {}).map((value) => (typeof value === 'string' ? value : JSON.stringify(value))).join(' ');
		const [mark, kind] = !result ? ['…', 'busy'] : result.is_error ? ['✕', 'bad'] : ['✓', 'good'];
		return html`<details class=tool><summary><span class=${kind}>${mark}<//> <b>${String(name).replace(/^mcp__hive__(send$)?/, (_, send) => (send ? '→' : 'hive '))}</b> ${cut(short, 120)}<//>
			<pre class=code>${cut(JSON.stringify(input, null, 1), LONGEST)}</pre>${result && html`<pre class=code>${cut(result.text, LONGEST)}</pre>`}<//>`;
	},
};

const UNITS = ['', 'hive-agent.service', 'hive-manager.service'];
export function Logs({ name, agent }) {
	const { unit = '', follow = true, find = '' } = draft('logs') ?? {};
	const set = (key) => ({ target: { type, checked, value } }) => draft('logs', { ...draft('logs'), [key]: type === 'checkbox' ? checked : value });
	const path = `api/log/${name}?unit=${unit}&lines=1000`;
	return html`<div class=tools><select aria-label=Unit value=${unit} onChange=${set('unit')}>${UNITS.map((one) => html`<option value=${one}>${one || 'everything'}<//>`)}<//>

			<label><input type=checkbox checked=${follow} onChange=${set('follow')} /> follow<//>
			<input type=search aria-label="Search the log" placeholder=Search value=${find} onInput=${set('find')} /></div>
		<${Log} key=${path + follow} path=${path} follows=${follow} find=${find.toLowerCase()} runs=${runs(agent)} name=${name} />`;
}

// Its lines are too many to be drawn anew each time.
class Log extends Followed {
	begin() { this.place.replaceChildren(); }

	take({ kind, text: line }) {
		const { place, props } = this;
		if (kind === 'heartbeat' && place.firstChild && !props.follows) this.stop.abort();
		if (kind !== 'line') return;
		this.scrolling ||= place.scrollHeight - place.scrollTop - place.clientHeight < 40 && setTimeout(() => {
			this.scrolling = 0;
			place.scrollTop = place.scrollHeight;
		}, 50);
		const row = document.createElement('div');
		row.textContent = plain(line).slice(0, LONGEST);
		place.append(row);
		this.sift(row);
		if (place.childElementCount > 5000) place.firstChild.remove();
	}

	sift(row) { row.hidden = !row.textContent.toLowerCase().includes(this.props.find); }

	componentDidUpdate(before) {
		super.componentDidUpdate(before);
		if (before.find !== this.props.find) [...this.place.children].forEach((row) => this.sift(row));
	}

	render({ name }) {
		return html`<pre class="log code" tabindex=0 aria-label=${`Journal of ${name}`} ref=${(element) => { this.place = element ?? this.place; }} />${this.ended()}`;
	}
}
