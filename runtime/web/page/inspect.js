// The mark on the picture and the values below it, asked for once a second until it is removed.
import { ask } from "/net.js";

const EVERY_MS = 1000;

export class Inspector {
  constructor(find, geometry) {
    this.find = find;
    this.geometry = geometry;
    this.point = undefined;
    find("marker-close").addEventListener("click", () => { this.remove(); find("frame").focus(); });
    setInterval(() => this.#ask(), EVERY_MS);
  }

  /** Marks an RGB pixel. */
  mark(point) {
    const [w, h] = this.geometry.rgbWh;
    this.point = [Math.min(w - 1, Math.max(0, Math.round(point[0]))), Math.min(h - 1, Math.max(0, Math.round(point[1])))];
    this.place();
    this.find("reading-at").textContent = this.point.join(", ");
    this.#ask();
  }

  /** Marks the middle, or moves the mark. */
  step(dx, dy) {
    const [w, h] = this.geometry.rgbWh;
    this.mark(this.point ? [this.point[0] + dx, this.point[1] + dy] : [w / 2, h / 2]);
  }

  remove() {
    this.point = undefined;
    this.place();
  }

  /** Puts the mark where its point is shown now. */
  place() {
    this.find("marker").hidden = this.find("readings").hidden = !this.point;
    if (!this.point) return;
    const [x, y] = this.geometry.fromRgb(this.point);
    this.find("marker").style.left = `${x}px`;
    this.find("marker").style.top = `${y}px`;
  }

  async #ask() {
    const { point, pair } = this;
    if (!point || document.hidden) return;
    let values;
    try {
      values = await ask("GET", `${pair.path}/inspect?x=${point[0]}&y=${point[1]}`);
    } catch {
      values = {};
    }
    if (point === this.point && pair === this.pair) this.#show(values);
  }

  #show({ rgb, ir, celsius }) {
    const [r, g, b] = rgb || [];
    this.find("reading-rgb").textContent = rgb ? `${r} ${g} ${b}` : "–";
    this.find("reading-swatch").style.backgroundColor = rgb ? `rgb(${r} ${g} ${b})` : "transparent";
    const warm = typeof celsius === "number";
    this.find("reading-ir-name").textContent = warm ? "Temperature" : "Infrared";
    const level = typeof ir === "number" ? String(Math.round(ir)) : "no data";
    this.find("reading-ir").textContent = warm ? `${celsius.toFixed(1)} °C` : level;
  }
}
