// Where a pixel of the RGB frame lies on the screen. The canvas is letterboxed; the view side-by-side has the aligned
// picture on its right.

export class Geometry {
  constructor(frame, canvas) {
    this.frame = frame;
    this.canvas = canvas;
    this.rgbWh = [640, 480];
    this.pictureWh = undefined;
  }

  /** Takes what the server says about sizes. */
  learn(status) {
    this.pictureWh = status.picture_wh || undefined;
    this.rgbWh = status.rgb_wh || status.picture_wh || [this.canvas.width, this.canvas.height];
  }

  /** The picture inside the frame, CSS px: left, top, width, height. */
  get box() {
    const { clientWidth: w, clientHeight: h } = this.frame;
    const scale = Math.min(w / this.canvas.width, h / this.canvas.height);
    const [width, height] = [this.canvas.width * scale, this.canvas.height * scale];
    return { left: (w - width) / 2, top: (h - height) / 2, width, height };
  }

  /** CSS px per RGB px. */
  get scale() {
    return this.box.height / this.#whole[1];
  }

  /** Width and height of the picture as drawn, RGB px, whatever size the stream has. */
  get #whole() {
    const height = this.rgbWh[1];
    return [(height * this.canvas.width) / this.canvas.height, height];
  }

  /** Place of the aligned picture's left edge, RGB px. */
  get #left() {
    return this.pictureWh && this.#whole[0] > 1.5 * this.rgbWh[0] ? this.#whole[0] - this.rgbWh[0] : 0;
  }

  /** RGB pixel (x, y) under a point of the window; undefined outside the picture. */
  toRgb(clientX, clientY) {
    const edge = this.frame.getBoundingClientRect();
    const { left, top } = this.box;
    const x = (clientX - edge.left - this.frame.clientLeft - left) / this.scale - 0.5;
    const y = (clientY - edge.top - this.frame.clientTop - top) / this.scale - 0.5;
    const [w, h] = this.#whole;
    if (x < -0.5 || y < -0.5 || x > w - 0.5 || y > h - 0.5) return undefined;
    return [x >= this.#left - 0.5 ? x - this.#left : x, y];
  }

  /** Place of an RGB pixel in the frame, CSS px. */
  fromRgb([x, y]) {
    const { left, top } = this.box;
    return [left + (x + this.#left + 0.5) * this.scale, top + (y + 0.5) * this.scale];
  }

  /** 0 at the picture's left edge to 1 at its right. */
  share(clientX) {
    const { left, width } = this.box;
    const x = clientX - this.frame.getBoundingClientRect().left - left;
    return Math.min(1, Math.max(0, x / width));
  }
}
