// Keys of the page: the same as those of the window, where both can do a thing, and a few more for what only it has.

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const ALPHA_STEP = 0.05;
const SPLIT_STEP = 0.02;
const LEVEL_STEP = 5;
const COARSE_PX = 10;

export class Keys {
  /** parts: the page's parts that keys reach. */
  constructor(find, parts) {
    this.find = find;
    Object.assign(this, parts);
    this.table = this.#table();
    find("help-open").addEventListener("click", () => this.help());
    find("help-close").addEventListener("click", () => find("help").close());
    find("help").addEventListener("click", (event) => { if (event.target === find("help")) find("help").close(); });
    addEventListener("keydown", (event) => this.#pressed(event));
  }

  /** Opens the help. */
  help() {
    this.#list();
    if (!this.find("help").open) this.find("help").showModal();
  }

  #table() {
    const click = (id) => () => this.find(id).click();
    return [
      { keys: [..."123456789"], shown: ["1", "–", "9"], help: "a view", run: (key) => this.#view(Number(key) - 1) },
      { keys: ["v"], help: "next view", run: () => this.#next("view", "views") },
      { keys: ["p"], help: "next palette", run: () => this.#next("palette", "palettes") },
      { keys: ["-", "+", "="], shown: ["−", "+"], help: "infrared share; while adjusting, scale", run: (key) => this.#share(key) },
      { keys: ["[", "]"], help: "split line, or level of the view Threshold; while adjusting, turn", run: (key) => this.#bracket(key) },
      { keys: ["e"], help: "estimate", run: () => this.pair.change({ follow: "estimate" }) },
      { keys: [" "], shown: ["Space"], help: "hold, and estimate again", run: () => this.#hold() },
      { keys: ["a"], help: "adjust by hand", run: click("adjust") },
      { keys: ["s"], help: "snapshot", run: click("snapshot") },
      { keys: ["r"], help: "record, and stop", run: click("record") },
      { keys: ["f"], help: "full screen", run: click("full") },
      { keys: ["t"], help: "next theme", run: click("theme") },
      { keys: ["h", "?"], help: "this help", run: () => this.help() },
      { keys: ["Escape"], shown: ["Esc"], help: "remove the mark, end adjusting", run: () => this.#escape() },
    ];
  }

  #pressed(event) {
    if (!this.pair || event.ctrlKey || event.metaKey || event.altKey || this.find("help").open) return;
    const { target } = event;
    if (target.closest("select, a, summary") || (target.closest("button, input") && [" ", "Enter"].includes(event.key))) return;
    if (this.#arrow(event) || this.#enter(event)) {
      event.preventDefault();
      return;
    }
    const entry = this.table.find(({ keys }) => keys.includes(event.key.length === 1 ? event.key.toLowerCase() : event.key));
    if (!entry) return;
    event.preventDefault();
    entry.run(event.key.toLowerCase());
  }

  /** Arrows on the picture move the infrared picture while adjusting, else the mark or the split line. */
  #arrow({ key, shiftKey, target }) {
    const move = ARROWS[key];
    if (!move || (target !== this.find("frame") && target !== document.body)) return false;
    if (this.hand.active) this.hand.step({ move }, shiftKey ? COARSE_PX : 1);
    else if (this.inspector.point) this.inspector.step(...move.map((steps) => steps * (shiftKey ? COARSE_PX : 1)));
    else if (this.pair.settings.view === "split" && move[0]) this.#slide("split", move[0] * SPLIT_STEP, 1);
    else return false;
    return true;
  }

  #enter({ key, target }) {
    if (key !== "Enter" || target !== this.find("frame") || this.hand.active) return false;
    this.inspector.step(0, 0);
    return true;
  }

  #view(number) {
    const view = this.pair.info.views?.[number];
    if (view) this.pair.change({ view });
  }

  #next(key, list) {
    const values = this.pair.info[list] || [];
    this.pair.change({ [key]: values[(values.indexOf(this.pair.settings[key]) + 1) % values.length] });
  }

  #share(key) {
    const sign = key === "-" ? -1 : 1;
    if (this.hand.active) this.hand.step({ scale: sign });
    else this.#slide("alpha", sign * ALPHA_STEP, 1);
  }

  #bracket(key) {
    const sign = key === "[" ? -1 : 1;
    if (this.hand.active) this.hand.step({ rotate: sign });
    else if (this.pair.settings.view === "threshold") this.#slide("ir_above", sign * LEVEL_STEP, 255);
    else if (this.pair.settings.view === "split") this.#slide("split", sign * SPLIT_STEP, 1);
  }

  #slide(key, by, most) {
    const value = Math.min(most, Math.max(0, (this.pair.settings[key] ?? 0) + by));
    this.pair.change({ [key]: Math.round(value * 1000) / 1000 });
  }

  #hold() {
    this.pair.change({ follow: this.pair.settings.follow === "hold" ? "estimate" : "hold" });
  }

  #escape() {
    if (this.inspector.point) this.inspector.remove();
    else if (this.hand.active) this.hand.set(false);
  }

  #list() {
    this.find("version").textContent = this.pair?.info.version ? `vr-live ${this.pair.info.version}` : "";
    const rows = [...this.table, { shown: ["↑", "↓", "←", "→"], help: "on the picture: move by 1 px, with Shift by 10" }];
    this.find("help-keys").replaceChildren(...rows.map(({ keys, shown, help }) => {
      const [line, names, text] = ["div", "dt", "dd"].map((tag) => document.createElement(tag));
      names.append(...(shown || keys).map((name) => keycap(name)));
      text.textContent = help;
      line.append(names, text);
      return line;
    }));
  }
}

function keycap(name) {
  if (name === "–") return " – ";
  return Object.assign(document.createElement("kbd"), { textContent: name });
}
