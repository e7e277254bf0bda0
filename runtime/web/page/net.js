// Asking the server and telling it: requests, writes that are throttled but never lose the last value, events.

/** Sends a request; returns the response, or throws an Error with the server's sentence. */
export async function request(method, path, body) {
  const init = { method, headers: {} };
  if (body !== undefined) {
    init.headers["Content-Type"] = "application/json";
    init.body = JSON.stringify(body);
  }
  let answer;
  try {
    answer = await fetch(path, init);
  } catch {
    throw new Error("The server does not answer; nothing was changed.");
  }
  if (!answer.ok) throw new Error(await sentence(answer));
  return answer;
}

/** As `request`, for answers of JSON. */
export async function ask(method, path, body) {
  return (await request(method, path, body)).json();
}

async function sentence(answer) {
  try {
    return (await answer.json()).error || `The server answered ${answer.status}.`;
  } catch {
    return answer.status === 401 ? "The token is missing or no longer valid; load the page again."
      : `The server answered ${answer.status}.`;
  }
}

/** Sends values one after the other, at most one per `intervalMs`; what waits meanwhile is merged into one. */
export class Writer {
  constructor(send, merge, intervalMs) {
    Object.assign(this, { send, merge, intervalMs, waiting: undefined, busy: false, timer: 0, last: -Infinity });
  }

  /** Whether everything has been sent and answered. */
  get idle() {
    return !this.busy && this.waiting === undefined;
  }

  push(value) {
    this.waiting = this.waiting === undefined ? value : this.merge(this.waiting, value);
    this.#pump();
  }

  /** Forgets what has not been sent yet. */
  drop() {
    this.waiting = undefined;
  }

  async #pump() {
    if (this.busy || this.timer || this.waiting === undefined) return;
    const early = this.last + this.intervalMs - performance.now();
    if (early > 0) {
      this.timer = setTimeout(() => { this.timer = 0; this.#pump(); }, early);
      return;
    }
    const value = this.waiting;
    this.waiting = undefined;
    this.busy = true;
    this.last = performance.now();
    try {
      await this.send(value);
    } finally {
      this.busy = false;
      this.#pump();
    }
  }
}

const RETRY_MS = [500, 1000, 2000, 4000, 5000];

/** How long to wait before a try, the first being number 0. */
export function retryAfterMs(number) {
  return RETRY_MS[Math.min(number, RETRY_MS.length - 1)];
}

const SILENT_MS = 6000;

/** Listens to /api/events and goes on doing so; `on` has a function per event name. */
export class Events {
  constructor(on) {
    this.on = on;
    this.tries = 0;
    this.heardAt = -Infinity;
    setInterval(() => { if (this.source && performance.now() - this.heardAt > SILENT_MS) this.#again(); }, 1000);
  }

  start() {
    if (this.source) return;
    this.heardAt = performance.now();
    this.source = new EventSource("/api/events");
    for (const [name, heard] of Object.entries(this.on)) {
      this.source.addEventListener(name, (event) => {
        this.heardAt = performance.now();
        this.tries = 0;
        heard(JSON.parse(event.data));
      });
    }
    // A browser tries again by itself after a broken connection, but not after an answer like 401 or 503.
    this.source.addEventListener("error", () => { if (this.source?.readyState === EventSource.CLOSED) this.#again(); });
  }

  stop() {
    clearTimeout(this.timer);
    this.source?.close();
    this.source = undefined;
  }

  #again() {
    this.stop();
    this.timer = setTimeout(() => this.start(), retryAfterMs(this.tries++));
  }
}
