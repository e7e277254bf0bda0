// What fingers, mouse and keys do on the picture: mark a point, move the split line, move the infrared picture by hand.
import { Similarity } from "/similarity.js";

const TAP_PX = 7;
const WHEEL = 0.0012;
const WHEEL_OF_PINCH = 0.01; // trackpads send a pinch as a wheel with Ctrl

export class Stage extends EventTarget {
  constructor(frame, geometry) {
    super();
    this.frame = frame;
    this.geometry = geometry;
    this.fingers = new Map();
    this.gesture = "";
    frame.addEventListener("pointerdown", (event) => this.#down(event));
    frame.addEventListener("pointermove", (event) => this.#move(event));
    frame.addEventListener("pointerup", (event) => this.#up(event));
    frame.addEventListener("pointercancel", (event) => this.fingers.delete(event.pointerId));
    frame.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
    frame.addEventListener("contextmenu", (event) => { if (this.gesture === "hand") event.preventDefault(); });
  }

  /** gesture: "hand", "split", or "" for marks alone. */
  setGesture(gesture) {
    if (gesture !== this.gesture) this.fingers.clear();
    this.gesture = gesture;
    this.frame.dataset.gesture = gesture;
  }

  #down(event) {
    if (event.button !== 0) return;
    this.frame.setPointerCapture(event.pointerId);
    const at = [event.clientX, event.clientY];
    this.fingers.set(event.pointerId, { start: at, at, moved: false });
  }

  #move(event) {
    const finger = this.fingers.get(event.pointerId);
    if (!finger) return;
    const before = [...this.fingers.values()].map(({ at }) => at);
    const at = [event.clientX, event.clientY];
    finger.moved ||= Math.hypot(at[0] - finger.start[0], at[1] - finger.start[1]) > TAP_PX;
    if (!finger.moved && this.gesture !== "hand") return;
    finger.at = at;
    if (this.gesture === "split") this.#tell("split", this.geometry.share(at[0]));
    if (this.gesture === "hand") this.#drag(before, event.shiftKey);
  }

  #up(event) {
    const finger = this.fingers.get(event.pointerId);
    this.fingers.delete(event.pointerId);
    if (!finger || finger.moved || this.gesture === "hand") return;
    const point = this.geometry.toRgb(event.clientX, event.clientY);
    if (point) this.#tell("mark", point);
  }

  #drag(before, turns) {
    const now = [...this.fingers.values()].map(({ at }) => at);
    const rgb = (points) => points.map((point) => this.#toRgbUnbounded(point));
    const [from, to] = [rgb(before), rgb(now)];
    if (now.length >= 2) this.#tell("nudge", Similarity.pinch(from, to));
    else if (turns) this.#tell("nudge", this.#turn(from[0], to[0]));
    else this.#tell("nudge", Similarity.move(to[0][0] - from[0][0], to[0][1] - from[0][1]));
  }

  #turn(from, to) {
    const middle = this.geometry.rgbWh.map((side) => (side - 1) / 2);
    const angle = ([x, y]) => Math.atan2(y - middle[1], x - middle[0]);
    const by = angle(to) - angle(from);
    return Similarity.about(middle, 1, (Math.atan2(Math.sin(by), Math.cos(by)) * 180) / Math.PI);
  }

  #toRgbUnbounded([clientX, clientY]) {
    const edge = this.frame.getBoundingClientRect();
    const [left, top] = this.geometry.fromRgb([-0.5, -0.5]);
    return [clientX - edge.left - left, clientY - edge.top - top].map((px) => px / this.geometry.scale - 0.5);
  }

  #wheel(event) {
    if (this.gesture !== "hand") return;
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    const scale = Math.exp(-event.deltaY * lines * (event.ctrlKey ? WHEEL_OF_PINCH : WHEEL));
    this.#tell("nudge", Similarity.about(this.#toRgbUnbounded([event.clientX, event.clientY]), scale, 0));
  }

  #tell(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}
