// Keys of the page: the same as those of the window, where both can do a thing, and a few more for what only it has.

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const ALPHA_STEP = 0.05;
const SPLIT_STEP = 0.02;
const LEVEL_STEP = 5;
const COARSE_PX = 10;
const TURN_DEG = 0.25;
const SCALE = 1.005;

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

  /** What each key does. label: as `runtime/keys.py` has it, where the window has the same key. */
  #table() {
    const click = (id) => () => this.find(id).click();
    return [
      { keys: ["h", "?"], label: "h", shown: "h ?", help: "this help", run: () => this.help() },
      { keys: ["v", "b", "V"], label: "v V", help: "next, previous view", run: (key) => this.#next("view", "views", key !== "v") },
      { keys: [..."123456789"], label: "1 ... 9", help: "a view", run: (key) => this.#view(Number(key) - 1) },
      { keys: ["+", "=", "-", "_"], label: "+ -", help: "more, less infrared", run: (key) => this.#slide("alpha", "-_".includes(key) ? -ALPHA_STEP : ALPHA_STEP, 1) },
      { keys: ["p", "o", "P"], label: "p P", help: "next, previous palette", run: (key) => this.#next("palette", "palettes", key !== "p") },
      { keys: [",", "."], label: ", .", help: "line of view Split to the left, right", run: (key) => this.#slide("split", key === "," ? -SPLIT_STEP : SPLIT_STEP, 1) },
      { keys: ["[", "]"], label: "[ ]", help: "level of view Threshold down, up", run: (key) => this.#slide("ir_above", key === "[" ? -LEVEL_STEP : LEVEL_STEP, 255) },
      { keys: [" ", "e"], label: "Space e", help: "hold the transform, or estimate it again", run: () => this.#hold() },
      { keys: [], label: "arrows", shown: "← → ↑ ↓", own: "on the picture, while adjusting: move infrared by 1 px, with Shift by 10" },
      { keys: ["<", ">"], label: "< >", help: "turn infrared", run: (key) => this.hand.turn(key === "<" ? -TURN_DEG : TURN_DEG) },
      { keys: ["{", "}"], label: "{ }", help: "make infrared smaller, larger", run: (key) => this.hand.scale(key === "{" ? 1 / SCALE : SCALE) },
      { keys: ["n"], label: "n", help: "forget what was set by hand, and estimate", run: () => this.pair.reset() },
      { keys: ["m"], label: "m", help: "next model", run: () => this.#next("model", "models", false) },
      { keys: ["s"], label: "s", own: "snapshot", run: click("snapshot") },
      { keys: ["r"], label: "r", help: "start or stop a recording", run: click("record") },
      { keys: ["a"], own: "adjust by hand", shown: "a", run: click("adjust") },
      { keys: ["f"], own: "full screen", shown: "f", run: click("full") },
      { keys: ["t"], own: "next theme", shown: "t", run: click("theme") },
      { keys: [], shown: "Enter", own: "on the picture: mark the middle; arrows then move the mark" },
      { keys: ["Escape"], shown: "Esc", own: "remove the mark, end adjusting", run: () => this.#escape() },
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
    const entry = this.table.find(({ keys }) => keys.includes(event.key));
    if (!entry) return;
    event.preventDefault();
    entry.run(event.key);
  }

  /** Arrows on the picture move the infrared picture while adjusting, else the mark or the split line. */
  #arrow({ key, shiftKey, target }) {
    const move = ARROWS[key];
    if (!move || (target !== this.find("frame") && target !== document.body)) return false;
    if (this.hand.active) this.hand.step({ move }, shiftKey ? COARSE_PX : 1);
    else if (this.inspector.point) this.inspector.step(...move.map((steps) => steps * (shiftKey ? COARSE_PX : 1)));
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

  #next(key, list, back) {
    const values = this.pair.info[list] || [];
    const at = values.indexOf(this.pair.settings[key]) + (back ? -1 : 1);
    if (values.length) this.pair.change({ [key]: values[(at + values.length) % values.length] });
  }

  #slide(key, by, most) {
    const value = Math.min(most, Math.max(0, (this.pair.settings[key] ?? 0) + by));
    this.pair.change({ [key]: Math.round(value * 1000) / 1000 });
  }

  #hold() {
    this.pair.change({ follow: this.pair.settings.follow === "estimate" ? "hold" : "estimate" });
  }

  #escape() {
    if (this.inspector.point) this.inspector.remove();
    else if (this.hand.active) this.hand.set(false);
  }

  #list() {
    this.find("version").textContent = this.pair?.info.version ? `vr-live ${this.pair.info.version}` : "";
    const told = new Map((this.pair?.info.keys || []).map(({ key, help }) => [key, help]));
    this.find("help-keys").replaceChildren(...this.table.map(({ label, shown, help, own }) => {
      const [line, names, text] = ["div", "dt", "dd"].map((tag) => document.createElement(tag));
      names.append(...(shown || label).split(" ").map(keycap));
      text.textContent = own || told.get(label) || help;
      line.append(names, text);
      return line;
    }));
  }
}

function keycap(name) {
  if (name === "...") return "to";
  return Object.assign(document.createElement("kbd"), { textContent: name });
}
