// One cold load, then one stream: live means that a word came in time.

const SILENCE = 25_000;
const LONGEST = 15_000;

export class Stream {
  // handlers: load, event, live, refused
  constructor(key, handlers) {
    this.key = key;
    this.handlers = handlers;
    this.seq = null;
    this.failures = 0;
    this.heard = 0;
    this.away = false;
    this.waker = null;
    for (const name of ['online', 'focus']) addEventListener(name, () => this.wake());
    document.addEventListener('visibilitychange', () => document.visibilityState === 'visible' && this.wake());
  }

  wake() { this.waker?.(); }

  async call(method, path, body) {
    const options = { method, headers: { Authorization: `Bearer ${this.key}` }, cache: 'no-store' };
    if (body !== undefined) {
      options.body = JSON.stringify(body);
      options.headers['Content-Type'] = 'application/json';
    }
    let answer;
    try {
      const response = await fetch(path, options);
      answer = { status: response.status, ...(await response.json()) };
    } catch {
      return { ok: false, status: 0, error: 'hive did not answer. What was asked for may have happened all the same.' };
    }
    if (answer.status === 401 || answer.status === 429) this.handlers.refused(answer.error, answer.status);
    return answer;
  }

  async run() {
    for (;;) {
      try {
        if (this.seq === null) await this.load();
        await this.follow();
      } catch (error) {
        if (error.fatal) return;
      }
      this.lost();
      await this.pause();
    }
  }

  async load() {
    const answer = await this.call('GET', 'api/state');
    if (!answer.ok) throw Object.assign(new Error(answer.error), { fatal: answer.status === 401 });
    this.seq = answer.result.seq;
    this.history = answer.result.page.history;
    this.handlers.load(answer.result);
  }

  async follow() {
    const stop = new AbortController();
    const headers = { Authorization: `Bearer ${this.key}`, 'Last-Event-ID': String(this.seq) };
    const silence = setInterval(() => Date.now() - this.heard > SILENCE && stop.abort(), 1000);
    this.heard = Date.now();
    try {
      const response = await fetch(`events?history=${this.history}`, { headers, signal: stop.signal, cache: 'no-store' });
      if (!response.ok) throw Object.assign(new Error('refused'), { fatal: response.status === 401 });
      await this.read(response.body.getReader());
    } finally {
      clearInterval(silence);
      stop.abort();
    }
  }

  async read(reader) {
    const decoder = new TextDecoder();
    let text = '';
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      this.heard = Date.now();
      text += decoder.decode(value, { stream: true });
      const frames = text.split('\n\n');
      text = frames.pop();
      for (const frame of frames) if (!this.take(frame)) return;
      if (!this.away) this.found();
    }
  }

  // Takes one frame; false when everything has to be asked for again.
  take(frame) {
    const fields = {};
    for (const line of frame.split('\n')) {
      const colon = line.indexOf(':');
      if (colon > 0) fields[line.slice(0, colon)] = line.slice(colon + 1).trimStart();
    }
    if (!fields.event) return true;
    if (fields.event === 'resync') { this.seq = null; return false; }
    if (fields.event === 'full') return false;
    if (fields.event === 'away' || fields.event === 'here') {
      this.away = fields.event === 'away';
      if (this.away) this.lost();
      return true;
    }
    const event = JSON.parse(fields.data);
    if (event.seq > this.seq) {
      this.seq = event.seq;
      this.handlers.event(event);
    }
    return true;
  }

  found() {
    this.failures = 0;
    this.handlers.live(true, null);
  }

  lost() { this.handlers.live(false, this.heard || null); }

  pause() {
    const delay = Math.min(LONGEST, 250 * 2 ** this.failures) * (0.5 + Math.random());
    this.failures = Math.min(this.failures + 1, 8);
    return new Promise((done) => { this.waker = done; setTimeout(done, delay); });
  }
}
