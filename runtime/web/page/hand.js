// Adjusting by hand: the toggle, the buttons, and the steps that keys make.
import { Similarity } from "/similarity.js";

const STEPS_PX = [1, 10];
const REPEAT_AFTER_MS = 400;
const REPEAT_MS = 90;

export class Hand extends EventTarget {
  constructor(find) {
    super();
    this.find = find;
    this.active = false;
    this.stepPx = STEPS_PX[0];
    find("adjust").addEventListener("click", () => this.set(!this.active));
    find("step").addEventListener("click", () => this.#nextStep());
    for (const button of find("hand").querySelectorAll("[data-move], [data-scale], [data-rotate]")) this.#repeats(button);
    find("hand-start").addEventListener("click", () => this.#start());
    find("hand-keep").addEventListener("click", () => this.#keep());
    find("hand-reset").addEventListener("click", () => this.pair.reset());
  }

  /** Begins or ends adjusting. */
  set(active) {
    this.active = active;
    this.find("adjust").setAttribute("aria-pressed", String(active));
    this.find("hand").hidden = !active;
    this.find("hint").hidden = !active;
    this.dispatchEvent(new Event("change"));
  }

  /** Moves by so many steps of `px`, or scales or turns so that the picture's sides move by as much. */
  step({ move = [0, 0], scale = 0, rotate = 0 }, px = this.stepPx) {
    const share = (2 * px) / this.pair.rgbWh[0];
    const degrees = (rotate * share * 180) / Math.PI;
    this.#about((1 + share) ** scale, degrees, move.map((steps) => steps * px));
  }

  turn(degrees) {
    this.#about(1, degrees);
  }

  scale(factor) {
    this.#about(factor, 0);
  }

  #about(scale, degrees, move = [0, 0]) {
    const middle = this.pair.rgbWh.map((side) => (side - 1) / 2);
    this.pair.nudge(Similarity.about(middle, scale, degrees, move));
  }

  async #start() {
    await this.pair.nudged();
    this.pair.change({ follow: "estimate" });
    this.set(false);
  }

  #keep() {
    if (this.pair.settings.follow !== "hand") this.pair.followHand();
    this.set(false);
  }

  #nextStep() {
    this.stepPx = STEPS_PX[(STEPS_PX.indexOf(this.stepPx) + 1) % STEPS_PX.length];
    this.find("step-word").textContent = `${this.stepPx} px`;
    this.find("step").setAttribute("aria-label", `Step: ${this.stepPx} ${this.stepPx === 1 ? "pixel" : "pixels"}`);
  }

  #repeats(button) {
    const { move, scale, rotate } = button.dataset;
    const what = { move: move?.split(",").map(Number), scale: Number(scale || 0), rotate: Number(rotate || 0) };
    let timer = 0;
    let repeated = false;
    const stop = () => clearTimeout(timer);
    const again = () => {
      repeated = true;
      this.step(what);
      timer = setTimeout(again, REPEAT_MS);
    };
    button.addEventListener("pointerdown", () => { repeated = false; stop(); timer = setTimeout(again, REPEAT_AFTER_MS); });
    for (const name of ["pointerup", "pointerleave", "pointercancel"]) button.addEventListener(name, stop);
    button.addEventListener("click", () => { if (!repeated) this.step(what); repeated = false; });
  }
}
