// One cold load, then one stream: live means that a word came within its time.

export class Stream {
	constructor(key, handlers) {
		Object.assign(this, { key, handlers, seq: null, failures: 0, heard: 0, away: false, wake: () => {} });
		for (const name of ['online', 'focus', 'visibilitychange']) addEventListener(name, () => this.wake());
	}

	fetch(path, { headers, ...options } = {}) {
		return fetch(path, { cache: 'no-store', ...options, headers: { Authorization: `Bearer ${this.key}`, ...headers } });
	}

	async call(method, path, body) {
		try {
			const response = await this.fetch(path, { method, body: body && JSON.stringify(body), headers: body && { 'Content-Type': 'application/json' } });
			const answer = await response.json();
			if (/401|429/.test(response.status)) this.handlers.refused(answer.error);
			return { status: response.status, ...answer };
		} catch {
			return { ok: false, error: 'hive did not answer. It may have been done all the same.' };
		}
	}

	// Takes lines of JSON for as long as they come; returns why they ended.
	async lines(path, signal, take) {
		try {
			const response = await this.fetch(path, { signal });
			if (!response.ok) return (await response.json()).error;
			for await (const line of pieces(response, '\n')) {
				const item = JSON.parse(line);
				if (item.kind === 'end') return item.error;
				take(item);
			}
		} catch { /* Cut off: whoever follows it says so. */ }
		return '';
	}

	async run() {
		for (;;) {
			try {
				if (this.seq === null) await this.load();
				await this.follow();
			} catch (error) {
				if (error === 401) return;
			}
			this.lost();
			const delay = Math.min(15_000, 250 * 2 ** this.failures) * (0.5 + Math.random());
			this.failures = Math.min(this.failures + 1, 8);
			await new Promise((done) => { this.wake = done; setTimeout(done, delay); });
		}
	}

	async load() {
		const { ok, status, result } = await this.call('GET', 'api/state');
		if (!ok) throw status;
		this.seq = result.seq;
		this.history = result.page.history;
		this.handlers.load(result);
	}

	async follow() {
		const stop = new AbortController();
		const hear = () => { this.heard = Date.now(); };
		hear();
		const silence = setInterval(() => Date.now() - this.heard > 25_000 && stop.abort(), 1000);
		try {
			const response = await this.fetch(`events?history=${this.history}`, { headers: { 'Last-Event-ID': this.seq }, signal: stop.signal });
			if (!response.ok) throw response.status;
			for await (const frame of pieces(response, '\n\n', hear)) {
				if (!this.take(frame)) return;
				if (this.away) continue;
				this.failures = 0;
				this.handlers.live(true, null);
			}
		} finally {
			clearInterval(silence);
			stop.abort();
		}
	}

	// Takes one frame; false when everything has to be asked for again.
	take(frame) {
		const { event: kind, data } = Object.fromEntries(frame.split('\n').map((line) => line.split(/: (.*)/s)));
		if (kind === 'resync') this.seq = null;
		if (kind === 'resync' || kind === 'full') return false;
		if (kind === 'away' || kind === 'here') this.away = kind === 'away';
		else if (kind) {
			const event = JSON.parse(data);
			if (event.seq > this.seq) {
				this.seq = event.seq;
				this.handlers.event(event);
			}
		}
		if (this.away) this.lost();
		return true;
	}

	lost() { this.handlers.live(false, this.heard || null); }
}

async function* pieces(response, end, heard = () => {}) {
	const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
	let text = '';
	for (;;) {
		const { done, value } = await reader.read();
		if (done) return;
		heard();
		const whole = (text + value).split(end);
		text = whole.pop();
		yield* whole;
	}
}
