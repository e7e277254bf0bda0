// The page: fetches the pairs, and connects the parts with each other.
import { Controls } from "/controls.js";
import { Geometry } from "/geometry.js";
import { Hand } from "/hand.js";
import { Inspector } from "/inspect.js";
import { Keys } from "/keys.js";
import { ask, Events, retryAfterMs } from "/net.js";
import { Pair } from "/pair.js";
import { Readouts } from "/readouts.js";
import { Recordings } from "/recordings.js";
import { Stage } from "/stage.js";
import { Stream } from "/stream.js";

const find = (id) => document.getElementById(id);
const TOAST_MS = 7000;
const [LEAST_WIDTH, MOST_WIDTH] = [320, 4096];

const stream = new Stream(find("picture"));
const geometry = new Geometry(find("frame"), find("picture"));
const stage = new Stage(find("frame"), geometry);
const inspector = new Inspector(find, geometry);
const hand = new Hand(find);
const controls = new Controls(find);
const readouts = new Readouts(find, stream);
const recordings = new Recordings(find, toast);
const keys = new Keys(find, { controls, hand, inspector, recordings });
const events = new Events({
  status: (all) => all.forEach((status, i) => pairs[i]?.heardStatus(status)),
  settings: (all) => all.forEach((settings, i) => pairs[i]?.heardSettings(settings)),
});
let pairs = [];
let pair;

function toast(text) {
  const message = Object.assign(document.createElement("div"), { className: "toast", textContent: text });
  find("toasts").append(message);
  while (find("toasts").children.length > 3) find("toasts").firstChild.remove();
  setTimeout(() => message.remove(), TOAST_MS);
}

function listen(one) {
  one.addEventListener("settings", () => { if (one === pair) showSettings(); });
  one.addEventListener("status", () => {
    readouts.remember(one);
    if (one === pair) showStatus();
  });
  one.addEventListener("refusal", (event) => toast(event.detail));
}

function showSettings() {
  controls.show();
  const { view, split } = pair.settings;
  stage.setGesture(hand.active ? "hand" : view === "split" ? "split" : "");
  placeSplit(view === "split" && !hand.active ? split : undefined);
}

function placeSplit(split) {
  const line = find("split-line");
  line.hidden = split === undefined;
  if (line.hidden) return;
  const { left, top, width, height } = geometry.box;
  line.style.left = `${left + split * width}px`;
  line.style.top = `${top}px`;
  line.style.height = `${height}px`;
}

function showStatus() {
  geometry.learn(pair.status);
  stream.expect(pair.status.fps);
  readouts.show();
  recordings.show();
}

/** Where things lie on the picture, after it or the window has changed its size. */
function place() {
  inspector.place();
  if (pair) showSettings();
}

function choose(number) {
  pair = pairs[number] || pairs[0];
  for (const part of [hand, inspector, keys]) part.pair = pair;
  geometry.learn(pair.status);
  for (const part of [controls, readouts, recordings]) part.bind(pair);
  inspector.remove();
  hand.set(false);
  for (const button of find("pairs").children) {
    if (button.dataset.number === String(pair.number)) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
  showSettings();
  watch();
  loadHistory(pair);
}

async function loadHistory(one) {
  try {
    const history = await ask("GET", `${one.path}/history`);
    readouts.histories.get(one).load(history);
    readouts.draw();
  } catch {
    // it fills up from the events
  }
}

/** Opens the stream no wider than it is shown; a page that nobody sees takes none. */
function watch() {
  if (document.hidden) {
    stream.stop();
    events.stop();
    return;
  }
  events.start();
  if (!pair) return;
  const shown = Math.ceil(find("frame").clientWidth * (devicePixelRatio || 1));
  const width = Math.min(MOST_WIDTH, Math.max(LEAST_WIDTH, shown));
  const smaller = pair.status.picture_wh && width < 0.9 * pair.status.picture_wh[0];
  const query = smaller ? `?width=${width}` : "";
  const url = `/stream/${pair.number}.mjpg${query}`;
  if (url !== stream.url) stream.start(url, `${pair.path}/picture.jpg${query}`);
}

function showPairs() {
  find("pairs").hidden = pairs.length < 2;
  find("pairs").replaceChildren(...pairs.map((one) => {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: one.name });
    button.dataset.number = one.number;
    button.addEventListener("click", () => { location.hash = one.number; });
    return button;
  }));
}

function showSection(name) {
  document.querySelector("main").dataset.shows = name;
  for (const button of find("sections").children) {
    if (button.dataset.shows === name) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
  readouts.draw();
}

function connectParts() {
  stage.addEventListener("nudge", (event) => pair.nudge(event.detail));
  stage.addEventListener("split", (event) => pair.change({ split: Math.round(event.detail * 1000) / 1000 }));
  stage.addEventListener("mark", (event) => inspector.mark(event.detail));
  stream.addEventListener("size", place);
  new ResizeObserver(place).observe(find("frame"));
  hand.addEventListener("change", () => {
    if (hand.active) showSection("alignment");
    showSettings();
  });
  find("sections").addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (button) showSection(button.dataset.shows);
  });
  find("full").hidden = !document.fullscreenEnabled;
  find("full").addEventListener("click", () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else find("frame").requestFullscreen();
  });
  document.addEventListener("visibilitychange", watch);
  addEventListener("hashchange", () => choose(Number(location.hash.slice(1))));
}

async function load() {
  for (let tries = 0; ; tries++) {
    try {
      return await ask("GET", "/api/pairs");
    } catch {
      await new Promise((done) => { setTimeout(done, retryAfterMs(tries)); });
    }
  }
}

async function begin() {
  showSection("picture");
  connectParts();
  pairs = (await load()).map((info) => new Pair(info));
  await Promise.all(pairs.map(async (one) => {
    listen(one);
    try {
      one.heardSettings(await ask("GET", `${one.path}/settings`));
      one.heardStatus(await ask("GET", `${one.path}/status`));
    } catch (error) {
      toast(error.message);
    }
  }));
  showPairs();
  choose(Number(location.hash.slice(1)));
}

begin();
