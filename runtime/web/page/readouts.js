// Numbers, state, notices and details, from the events.
import { icon, worded } from "/controls.js";
import { drawBand, drawLine, History, quantile, roundUp } from "/plots.js";

const STALE_MS = 3000;
const SAID_AFTER_MS = 700;
const CARDS = [
  { key: "fps", title: "Frame rate", unit: "fps", digits: 1, of: (s) => s.fps,
    more: (s) => (s.frames ? `${s.frames.toLocaleString("en")} pictures` : "") },
  { key: "latency", title: "Latency", unit: "ms", digits: 0, of: (s) => s.latency_ms?.p50,
    more: (s) => (isNumber(s.latency_ms?.p95) ? `95 %: ${s.latency_ms.p95.toFixed(0)} ms` : "") },
  { key: "confidence", title: "Confidence", unit: "", digits: 2, of: (s) => s.confidence,
    more: (s) => (isNumber(s.estimate_age_s) && s.alignment === "estimated" ? `estimated ${ago(s.estimate_age_s)}` : "") },
  { key: "skew", title: "Skew", unit: "ms", digits: 0, of: (s) => s.skew_ms, signed: true,
    more: (s) => "IR minus RGB" },
];

export class Readouts {
  constructor(find, stream) {
    this.find = find;
    this.stream = stream;
    this.histories = new Map();
    this.cards = CARDS.map((card) => this.#card(card));
    for (const name of ["live", "age"]) stream.addEventListener(name, () => this.showLink());
    addEventListener("theme", () => this.draw());
    new ResizeObserver(() => this.draw()).observe(find("cards"));
    setInterval(() => this.showLink(), 500);
  }

  /** Shows another pair. */
  bind(pair) {
    this.pair = pair;
    this.state = undefined;
    if (!this.histories.has(pair)) this.histories.set(pair, new History());
    this.show();
  }

  get history() {
    return this.histories.get(this.pair);
  }

  /** Whether what the server said last is old. */
  get stale() {
    return performance.now() - this.pair.statusAt > STALE_MS;
  }

  remember(pair) {
    const { status } = pair;
    this.histories.get(pair)?.add({
      fps: status.fps, latency: status.latency_ms?.p50, confidence: status.confidence, skew: status.skew_ms,
      state: status.alignment,
    });
  }

  show() {
    const { status } = this.pair;
    for (const card of this.cards) this.#showCard(card, status);
    this.find("quick-fps").textContent = number(status.fps, 1);
    this.find("quick-ms").textContent = number(status.latency_ms?.p50, 0);
    this.#showNotices(status.notices || []);
    this.find("switching").textContent = status.switching ? `Loading ${worded(status.switching)}` : "";
    this.#showDetails(status);
    this.showLink();
    this.draw();
  }

  /** State, and whether pictures and numbers are current. */
  showLink() {
    if (!this.pair) return;
    const { live } = this.stream;
    const seconds = this.stream.ageMs / 1000;
    const known = Number.isFinite(seconds);
    this.find("frame").classList.toggle("stale", !live);
    this.find("lost").hidden = live;
    this.find("lost-word").textContent = known ? "Stream lost, reconnecting" : "Connecting";
    this.find("lost-age").textContent = known && !live ? `This picture is ${seconds.toFixed(0)} s old` : "";
    this.find("cards").classList.toggle("old", this.stale);
    this.#showState(live ? this.#alignment() : known ? "lost" : "waiting");
  }

  #alignment() {
    if (this.stale) return "waiting";
    return ["estimated", "held", "refused"].includes(this.pair.status.alignment) ? this.pair.status.alignment : "waiting";
  }

  #showState(state) {
    const lost = { lost: "STREAM LOST", waiting: this.stream.live ? "NO STATUS" : "CONNECTING" };
    const word = lost[state] || state.toUpperCase();
    if (word === this.word) return;
    this.word = word;
    this.find("state").dataset.state = state;
    this.find("state-word").textContent = word;
    this.find("state-shape").setAttribute("href", `#s-${state === "waiting" ? "lost" : state}`);
    clearTimeout(this.saying);
    this.saying = setTimeout(() => { this.find("said").textContent = `State: ${word.toLowerCase()}`; }, SAID_AFTER_MS);
  }

  draw() {
    if (!this.pair || !this.history) return;
    const { span } = this.history;
    for (const { key, canvas } of this.cards) {
      const points = this.history.column(key);
      drawLine(canvas, points, span, ...axis(key, points.map(({ value }) => value).filter(isNumber)));
    }
    drawBand(this.find("band"), this.history.column("state"), span);
    this.find("span").textContent = `${span / 60} min ago`;
  }

  #card({ title, ...rest }) {
    const card = element("section", "card");
    const [head, value, more, plot, canvas] = ["h3", "p", "p", "div", "canvas"].map((tag) => element(tag));
    Object.assign(value, { className: "value" });
    Object.assign(more, { className: "more" });
    Object.assign(plot, { className: "plot" });
    head.textContent = title;
    canvas.setAttribute("role", "img");
    canvas.setAttribute("aria-label", `${title} over the last five minutes`);
    const text = element("div");
    text.append(head, value, more);
    plot.append(canvas);
    card.append(text, plot);
    this.find("cards").append(card);
    return { ...rest, value, moreText: more, canvas };
  }

  #showCard(card, status) {
    const unit = element("small");
    unit.textContent = card.unit;
    card.value.replaceChildren(number(card.of(status), card.digits, card.signed), unit);
    card.moreText.textContent = card.more?.(status) || "";
  }

  #showNotices(notices) {
    const texts = notices.map((notice) => notice.text || String(notice));
    const list = this.find("notices");
    while (list.children.length > texts.length) list.lastChild.remove();
    while (list.children.length < texts.length) {
      const item = element("li");
      item.append(icon("i-notice"), element("span"));
      list.append(item);
    }
    texts.forEach((text, i) => { list.children[i].lastChild.textContent = text; });
    this.#sayNotices(texts);
  }

  /** Once each: what changes in a notice are the seconds that it counts. */
  #sayNotices(texts) {
    const plain = texts.map((text) => text.replace(/\d+/g, "")).join("\n");
    if (plain !== this.noticed && texts.length) this.find("said").textContent = texts.join(". ");
    this.noticed = plain;
  }

  #showDetails(status) {
    const rows = details(status, this.pair.info);
    const list = this.find("details");
    if (list.children.length !== rows.length) list.replaceChildren(...rows.map(() => row()));
    rows.forEach(([name, value], i) => {
      const [dt, dd] = list.children[i].children;
      if (dt.textContent !== name) dt.textContent = name;
      if (dd.textContent !== value) dd.textContent = value;
    });
  }
}

/** Range and label of an axis: nearly all values are in it, lest one outlier flattens the rest. */
function axis(key, values) {
  if (key === "confidence") return [[0, 1], "1"];
  const usual = 1.15 * quantile(values.map(Math.abs), 0.97);
  const most = roundUp(Math.max(key === "skew" ? 10 : 1, usual));
  if (key === "skew") return [[-most, most], `±${most} ms`];
  return [[0, most], key === "fps" ? String(most) : `${most} ms`];
}

const COUNTERS = {
  estimated: "Estimated", held: "Held", refused: "Refused", paired: "Paired", unpaired_rgb: "RGB without a partner",
  dropped_rgb: "RGB dropped", skipped_ir: "IR skipped", dropped_by_sinks: "Dropped by outputs",
};

function details(status, info) {
  const stages = Object.entries(status.latency_ms || {}).filter(([name]) => !/^p\d+$/.test(name));
  const cameras = Object.entries(status.cameras || {});
  return [
    ["Provider", status.provider || info.provider],
    ["Model", status.model],
    ["Pictures", status.frames?.toLocaleString("en")],
    ...stages.map(([name, ms]) => [`Latency: ${name.replaceAll("_", " ")}`, isNumber(ms) ? `${ms.toFixed(1)} ms` : undefined]),
    ...cameras.map(([name, camera]) => [`${name.toUpperCase()} camera`, cameraText(camera)]),
    ...Object.entries(status.counters || {}).map(([name, count]) => [COUNTERS[name] || worded(name), count?.toLocaleString("en")]),
    ["Clock of IR later by", isNumber(status.offset_ms) ? `${status.offset_ms.toFixed(0)} ms` : undefined],
    ["Picture size", status.picture_wh?.join(" × ")],
    ["Viewers", status.viewers],
    ["Version", info.version],
  ].filter(([, value]) => value !== undefined && value !== null && value !== "").map(([name, value]) => [name, String(value)]);
}

function cameraText(camera) {
  if (!camera) return undefined;
  return [camera.state, isNumber(camera.age_s) ? `${camera.age_s.toFixed(1)} s ago` : ""].filter(Boolean).join(", ");
}

function row() {
  const div = element("div");
  div.append(element("dt"), element("dd"));
  return div;
}

function element(tag, className = "") {
  return Object.assign(document.createElement(tag), { className });
}

function isNumber(value) {
  return typeof value === "number" && Number.isFinite(value);
}

function ago(seconds) {
  return seconds < 1 ? "now" : `${seconds.toFixed(0)} s ago`;
}

function number(value, digits, signed = false) {
  if (!isNumber(value)) return "–";
  const text = Math.abs(value).toFixed(digits);
  const sign = value < 0 && Number(text) !== 0 ? "−" : signed && Number(text) !== 0 ? "+" : "";
  return sign + text;
}
