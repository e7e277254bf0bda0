// Binds the settings to their controls, both ways.

const SLIDERS = {
  alpha: (value) => `${Math.round(100 * value)} %`,
  split: (value) => `${Math.round(100 * value)} %`,
  ir_above: (value) => String(Math.round(value)),
};
const SELECTS = { palette: "palettes", model: "models", rig: "rigs", search: "searches", mode: "modes" };
const WORDS = {
  "rgb-edges": "Colour edges", "ir-edges": "IR edges", "picture-in-picture": "Inset", hand: "By hand",
  none: "None (as it comes)", null: "Model's own",
};
const ONLY_IN = { split: "split", ir_above: "threshold" };

/** A name of the server in words. */
export function worded(name) {
  const key = String(name);
  if (WORDS[key]) return WORDS[key];
  const short = key.split("/").pop().replaceAll("-", " ");
  return key.includes(".") ? short : short[0].toUpperCase() + short.slice(1);
}

export class Controls {
  constructor(find) {
    this.find = find;
    for (const key of Object.keys(SLIDERS)) this.#slider(key);
    for (const key of Object.keys(SELECTS)) this.#select(key);
    this.find("views").addEventListener("change", (event) => this.pair.change({ view: event.target.value }));
    this.find("follow").addEventListener("change", (event) => this.#follow(event.target.value));
  }

  /** Shows the controls of a pair. */
  bind(pair) {
    this.pair = pair;
    const { info } = pair;
    fillRadios(this.find("views"), "view", info.views || [], true);
    fillRadios(this.find("follow"), "follow", info.follow || ["estimate", "hold", "hand"], false);
    for (const [key, list] of Object.entries(SELECTS)) {
      this.find(key).replaceChildren(...(info[list] || []).map((value) => new Option(worded(value), value ?? "")));
      this.find(key).disabled = this.find(key).options.length < 2;
    }
    this.show();
  }

  /** Puts every control where the settings are, but for one under a finger. */
  show() {
    const { settings } = this.pair;
    for (const [key, text] of Object.entries(SLIDERS)) {
      const slider = this.find(key);
      this.find(`${key}-row`).hidden = key in ONLY_IN && settings.view !== ONLY_IN[key];
      if (settings[key] === undefined || slider.matches(":active")) continue;
      slider.value = settings[key];
      this.#fill(slider, text);
    }
    for (const key of Object.keys(SELECTS)) this.#choose(this.find(key), settings[key]);
    for (const [name, value] of [["view", settings.view], ["follow", settings.follow]]) {
      const radio = document.getElementById(`${name}-${value}`);
      if (radio) radio.checked = true;
    }
  }

  #choose(select, value) {
    const wanted = value ?? "";
    // What the command line named is no entry of the list that the page was given.
    if (![...select.options].some((option) => option.value === wanted)) select.add(new Option(worded(value), wanted));
    if (select.value !== wanted) select.value = wanted;
  }

  #slider(key) {
    const slider = this.find(key);
    slider.addEventListener("input", () => {
      this.#fill(slider, SLIDERS[key]);
      this.pair.change({ [key]: Number(slider.value) });
    });
    // Settings that came while it was held are shown once it is let go.
    slider.addEventListener("change", () => setTimeout(() => this.show()));
  }

  #select(key) {
    const select = this.find(key);
    select.addEventListener("input", () => this.pair.change({ [key]: select.value === "" ? null : select.value }));
  }

  #follow(value) {
    if (value === "hand") this.pair.followHand();
    else this.pair.change({ follow: value });
  }

  #fill(slider, text) {
    const share = (slider.value - slider.min) / (slider.max - slider.min);
    slider.style.setProperty("--fill", `${100 * share}%`);
    this.find(`${slider.id}-shown`).textContent = text(Number(slider.value));
    slider.setAttribute("aria-valuetext", text(Number(slider.value)));
  }
}

function fillRadios(group, name, values, pictured) {
  const parts = values.flatMap((value) => {
    const radio = Object.assign(document.createElement("input"), { type: "radio", name, value, id: `${name}-${value}` });
    const label = Object.assign(document.createElement("label"), { htmlFor: radio.id });
    if (pictured) label.append(icon(`v-${value}`));
    label.append(worded(value));
    return [radio, label];
  });
  group.replaceChildren(group.querySelector("legend"), ...parts);
}

/** One of the signs at the top of the page. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#${name}`);
  svg.append(use);
  return svg;
}
