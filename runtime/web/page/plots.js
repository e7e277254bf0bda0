// The last five minutes, drawn on canvases.

const MOST_S = 300;
const LEAST_S = 60;
const MARGIN_PX = 13;

/** What has been, one sample a second: `add` forgets what is older than five minutes. */
export class History {
  constructor() {
    this.samples = [];
  }

  /** Takes the answer of /history. */
  load({ time_s: ages = [], ...columns }) {
    const now = performance.now() / 1000;
    this.samples = ages.map((age, i) => ({
      at: now - age, fps: columns.fps?.[i], latency: columns.latency_ms?.[i], confidence: columns.confidence?.[i],
      skew: columns.skew_ms?.[i], state: columns.state?.[i],
    }));
  }

  add(sample) {
    const now = performance.now() / 1000;
    if (this.samples.length && now - this.samples.at(-1).at < 0.95) return;
    this.samples.push({ at: now, ...sample });
    this.samples = this.samples.filter(({ at }) => now - at <= MOST_S + 2);
  }

  /** How much time the plots show, s: whole minutes, as many as there are samples of. */
  get span() {
    const oldest = this.samples.length ? performance.now() / 1000 - this.samples[0].at : 0;
    return Math.min(MOST_S, Math.max(LEAST_S, 60 * Math.ceil(oldest / 60 - 0.1)));
  }

  /** Values of one column with their ages, s. */
  column(name) {
    const now = performance.now() / 1000;
    return this.samples.map((sample) => ({ age: now - sample.at, value: sample[name] }));
  }
}

function prepared(canvas) {
  const ratio = devicePixelRatio || 1;
  const { clientWidth: w, clientHeight: h } = canvas;
  const [width, height] = [Math.round(w * ratio), Math.round(h * ratio)];
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, w, h);
  return { pen, w, h };
}

/** A colour or size of the theme. */
function token(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/**
 * Draws one column as a line over `span` seconds. range: lowest and highest value of the axis, beyond which nothing is
 * drawn; label: what stands at its top.
 */
export function drawLine(canvas, points, span, range, label) {
  const { pen, w, h } = prepared(canvas);
  if (w < 20 || h < 20) return;
  const [low, high] = range;
  const share = (value) => Math.min(1, Math.max(0, (value - low) / (high - low)));
  const y = (value) => MARGIN_PX + (1 - share(value)) * (h - MARGIN_PX - 3);
  const x = (age) => w * (1 - age / span);
  const zero = low < 0 ? 0 : low;
  rule(pen, w, [y(high), y(zero)]);
  pen.strokeStyle = token("--accent");
  pen.fillStyle = token("--accent");
  pen.lineWidth = Number(token("--plot-line"));
  pen.lineJoin = "round";
  for (const run of runs(points)) drawRun(pen, run.map(({ age, value }) => [x(age), y(value)]), y(zero));
  pen.fillStyle = token("--quiet");
  pen.font = `${0.6875 * parseFloat(getComputedStyle(document.documentElement).fontSize)}px system-ui, sans-serif`;
  pen.textAlign = "right";
  pen.fillText(label, w, MARGIN_PX - 4);
}

function rule(pen, w, heights) {
  pen.strokeStyle = token("--line");
  pen.lineWidth = 1;
  for (const at of heights) {
    pen.beginPath();
    pen.moveTo(0, Math.round(at) + 0.5);
    pen.lineTo(w, Math.round(at) + 0.5);
    pen.stroke();
  }
}

/** Neighbouring samples that have a value; a gap in time or value ends a run. */
function runs(points) {
  const out = [];
  let last;
  for (const point of points) {
    if (typeof point.value !== "number") last = undefined;
    else {
      if (last === undefined || last - point.age > 3) out.push([]);
      out.at(-1).push(point);
      last = point.age;
    }
  }
  return out;
}

function drawRun(pen, places, base) {
  pen.beginPath();
  for (const [x, y] of places) pen.lineTo(x, y);
  if (places.length === 1) pen.lineTo(places[0][0] + 1, places[0][1]);
  pen.stroke();
  pen.lineTo(places.at(-1)[0], base);
  pen.lineTo(places[0][0], base);
  pen.globalAlpha = 0.14;
  pen.fill();
  pen.globalAlpha = 1;
}

const BAND_HEIGHT = { estimated: 1, held: 0.68, refused: 0.4 };

/** Draws the states as a band; they differ by height as well as by colour. */
export function drawBand(canvas, points, span) {
  const { pen, w, h } = prepared(canvas);
  const x = (age) => Math.round(w * (1 - age / span));
  points.forEach(({ age, value }, i) => {
    if (!(value in BAND_HEIGHT)) return;
    const end = points[i + 1] ? Math.max(points[i + 1].age, age - 3) : 0;
    const height = Math.round(h * BAND_HEIGHT[value]);
    pen.fillStyle = token(`--plot-${value}`);
    pen.fillRect(x(age), h - height, Math.max(1, x(end) - x(age)), height);
  });
}

/** The value that this share of some values do not exceed. */
export function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length ? sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] : 0;
}

/** The least round number that is not below a value. */
export function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-6)));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((k) => k * power).find((k) => k >= value * 0.999);
}
