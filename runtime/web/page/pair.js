// One pair of cameras as the page knows it: what the server said last, and what has been asked for since.
import { ask, Writer } from "/net.js";
import { Similarity } from "/similarity.js";

const SETTINGS_MS = 50;
const NUDGE_MS = 67;
// A change is believed for so long, whatever the server's events say: one may have been on its way already.
const BELIEVED_MS = 700;

export class Pair extends EventTarget {
  constructor(info) {
    super();
    this.info = info;
    this.number = info.number;
    this.path = `/api/pairs/${info.number}`;
    this.confirmed = {};
    this.status = {};
    this.statusAt = -Infinity;
    this.believed = new Map();
    this.settingsWriter = new Writer((values) => this.#patch(values), (a, b) => ({ ...a, ...b }), SETTINGS_MS);
    this.nudgeWriter = new Writer((step) => this.#nudge(step), (a, b) => b.after(a), NUDGE_MS);
  }

  get name() {
    return this.info.name || `Pair ${this.number + 1}`;
  }

  /** The settings as they are to be shown: the server's, with what has just been changed here. */
  get settings() {
    const now = performance.now();
    const shown = { ...this.confirmed };
    for (const [key, { value, until }] of this.believed) if (until > now) shown[key] = value;
    return shown;
  }

  /** Width and height of RGB frames, px. */
  get rgbWh() {
    return this.status.rgb_wh || this.status.picture_wh || [640, 480];
  }

  /** Changes settings at once here, and as soon as possible there. */
  change(values) {
    this.#believe(values, Infinity);
    this.#emit("settings");
    this.settingsWriter.push(values);
  }

  /** Moves the infrared picture by a Similarity of RGB pixels. */
  nudge(step) {
    this.#believe({ follow: "hand" }, performance.now() + BELIEVED_MS);
    this.#emit("settings");
    this.nudgeWriter.push(step);
  }

  /** Shows the present transform from now on, or the one that was set by hand before. */
  followHand() {
    if (this.settings.theta) this.change({ follow: "hand" });
    else this.nudge(new Similarity());
  }

  /** Waits until every nudge has been answered, lest one comes after what follows. */
  async nudged() {
    while (!this.nudgeWriter.idle) await new Promise((done) => { setTimeout(done, 10); });
  }

  /** Forgets what was set by hand. */
  async reset() {
    this.nudgeWriter.drop();
    await this.#write(() => ask("POST", `${this.path}/nudge`, { reset: true }), { follow: "estimate", theta: null });
  }

  heardSettings(settings) {
    this.confirmed = settings;
    this.#emit("settings");
  }

  heardStatus(status) {
    this.status = status;
    this.statusAt = performance.now();
    this.#emit("status");
  }

  #patch(values) {
    return this.#write(() => ask("PATCH", `${this.path}/settings`, values), values);
  }

  #nudge(step) {
    const body = step.asNudge(this.rgbWh.map((side) => (side - 1) / 2));
    return this.#write(() => ask("POST", `${this.path}/nudge`, body), { follow: "hand" });
  }

  async #write(send, values) {
    try {
      this.confirmed = await send();
      if (this.settingsWriter.waiting === undefined) this.#believe(values, performance.now() + BELIEVED_MS);
      setTimeout(() => this.#emit("settings"), BELIEVED_MS + 20);
    } catch (error) {
      this.settingsWriter.drop();
      this.nudgeWriter.drop();
      this.believed.clear();
      this.dispatchEvent(new CustomEvent("refusal", { detail: error.message }));
    }
    this.#emit("settings");
  }

  #believe(values, until) {
    for (const [key, value] of Object.entries(values)) this.believed.set(key, { value, until });
  }

  #emit(name) {
    this.dispatchEvent(new Event(name));
  }
}
