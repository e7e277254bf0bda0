// The live picture. The parts of the MJPEG stream are read here rather than by an <img>, which would show its last
// picture for ever when the stream dies, and tells nobody when a picture came.
import { retryAfterMs } from "/net.js";

const SILENT_MS = 2500;
// After so many tries without a picture, something between here and the box keeps streams back: one picture at a time.
const TRIES_OF_STREAM = 3;
const POLL_MS = 80;

export class Stream extends EventTarget {
  constructor(canvas) {
    super();
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.pictureAt = -Infinity;
    this.live = false;
    this.tries = 0;
    this.slowMs = 0;
    setInterval(() => this.#watch(), 250);
  }

  /** How long ago the picture shown came, ms; Infinity before the first. */
  get ageMs() {
    return performance.now() - this.pictureAt;
  }

  /** Shows another stream; pictureUrl: where its newest picture is had alone. */
  start(url, pictureUrl) {
    if (url !== this.url) {
      this.pictureAt = -Infinity;
      this.streams = false; // whether the stream has ever given a picture
      this.#setLive(false);
    }
    Object.assign(this, { url, pictureUrl, tries: 0 });
    this.#connect();
  }

  stop() {
    this.reading?.abort();
    clearTimeout(this.timer);
    this.url = undefined;
    this.reading = undefined;
  }

  /** Takes a slow camera into account. */
  expect(fps) {
    this.slowMs = fps > 0 ? Math.min(3000 / fps, 20000) : 0;
  }

  async #connect() {
    clearTimeout(this.timer);
    this.reading?.abort();
    const reading = new AbortController();
    this.reading = reading;
    this.startedAt = performance.now();
    try {
      if (!this.streams && this.tries > TRIES_OF_STREAM) await this.#poll(reading);
      else await this.#read(reading);
    } catch {
      // What went wrong does not matter here: without pictures it is tried again.
    }
    if (reading === this.reading) this.#retry();
  }

  async #read(reading) {
    const answer = await fetch(this.url, { signal: reading.signal, cache: "no-store" });
    if (!answer.ok) throw new Error(`answered ${answer.status}`);
    const parts = new Parts();
    for (const reader = answer.body.getReader(); ;) {
      const { value, done } = await reader.read();
      if (done || reading !== this.reading) break;
      const jpeg = parts.newest(value);
      if (!jpeg) continue;
      this.streams = true;
      this.#show(jpeg, reading);
    }
  }

  async #poll(reading) {
    for (let last = new Uint8Array(0); reading === this.reading;) {
      const answer = await fetch(this.pictureUrl, { signal: reading.signal, cache: "no-store" });
      if (!answer.ok) throw new Error(`answered ${answer.status}`);
      const jpeg = new Uint8Array(await answer.arrayBuffer());
      // The same picture again is no sign of life.
      if (jpeg.length !== last.length || jpeg.some((byte, i) => byte !== last[i])) this.#show(jpeg, reading);
      last = jpeg;
      await new Promise((done) => { setTimeout(done, POLL_MS); });
    }
  }

  #retry() {
    this.reading?.abort();
    this.reading = undefined;
    if (this.url) this.timer = setTimeout(() => this.#connect(), retryAfterMs(this.tries++));
  }

  async #show(jpeg, reading) {
    this.next = jpeg;
    if (this.decoding) return;
    this.decoding = true;
    while (this.next) {
      const bytes = this.next;
      this.next = undefined;
      try {
        const picture = await createImageBitmap(new Blob([bytes], { type: "image/jpeg" }));
        if (reading === this.reading) this.#draw(picture);
        picture.close();
      } catch {
        // a damaged picture; the next one is on its way
      }
    }
    this.decoding = false;
  }

  #draw(picture) {
    const { canvas } = this;
    if (canvas.width !== picture.width || canvas.height !== picture.height) {
      canvas.width = picture.width;
      canvas.height = picture.height;
      this.dispatchEvent(new Event("size"));
    }
    this.context.drawImage(picture, 0, 0);
    this.pictureAt = performance.now();
    if (this.streams) this.tries = 0;
    this.#setLive(true);
    this.dispatchEvent(new Event("picture"));
  }

  #watch() {
    if (!this.url) return;
    const silentMs = Math.max(SILENT_MS, this.slowMs);
    if (this.ageMs > silentMs) this.#setLive(false);
    if (this.reading && Math.min(this.ageMs, performance.now() - this.startedAt) > silentMs + 1000) this.#retry();
    if (!this.live) this.dispatchEvent(new Event("age"));
  }

  #setLive(live) {
    if (live === this.live) return;
    this.live = live;
    this.dispatchEvent(new Event("live"));
  }
}

/** Cuts a multipart stream into its parts by their Content-Length. */
export class Parts {
  constructor() {
    this.bytes = new Uint8Array(0);
  }

  /** Takes bytes as they come; returns the last whole part among them, if there is one. */
  newest(chunk) {
    this.bytes = this.bytes.length ? joined(this.bytes, chunk) : chunk;
    let part;
    for (let end = this.#end(); end && end[1] <= this.bytes.length; end = this.#end()) {
      part = this.bytes.slice(...end);
      this.bytes = this.bytes.subarray(end[1]);
    }
    return part;
  }

  /** First and last place of the first part; undefined until its head is whole. */
  #end() {
    const at = blankLine(this.bytes);
    if (at < 0) return undefined;
    const head = new TextDecoder("latin1").decode(this.bytes.subarray(0, at));
    const length = /content-length:\s*(\d+)/i.exec(head);
    if (!length) throw new Error("a part without Content-Length");
    return [at + 4, at + 4 + Number(length[1])];
  }
}

function blankLine(bytes) {
  for (let i = bytes.indexOf(13); i >= 0; i = bytes.indexOf(13, i + 1)) {
    if (bytes[i + 1] === 10 && bytes[i + 2] === 13 && bytes[i + 3] === 10) return i;
  }
  return -1;
}

function joined(a, b) {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}
