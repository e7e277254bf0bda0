// Runs inside the page: how long from an input to a picture or an event of the server that is different for it.
(() => {
  const [WIDTH, HEIGHT] = [64, 48];
  const NOISE = 24;
  const TIMEOUT_MS = 4000;
  const BEFORE_MS = 900;
  const LATER_MS = 350;
  const small = Object.assign(document.createElement("canvas"), { width: WIDTH, height: HEIGHT });
  const pen = small.getContext("2d", { willReadFrequently: true });
  const heard = { settings: [], status: [] };
  const source = new EventSource("/api/events");
  for (const name of Object.keys(heard)) {
    source.addEventListener(name, (event) => { heard[name] = JSON.parse(event.data); dispatchEvent(new Event(`probe-${name}`)); });
  }
  const ready = Promise.all(Object.keys(heard).map((name) => new Promise((done) => {
    addEventListener(`probe-${name}`, done, { once: true });
  })));
  const tick = () => new Promise(requestAnimationFrame);

  function look() {
    pen.drawImage(document.getElementById("picture"), 0, 0, WIDTH, HEIGHT);
    return pen.getImageData(0, 0, WIDTH, HEIGHT).data;
  }

  /** Share of the pixels that differ by more than noise: a scene changes few of them, a control many. */
  function distance(a, b) {
    let changed = 0;
    for (let i = 0; i < a.length; i += 4) {
      const by = Math.abs(a[i] - b[i]) + Math.abs(a[i + 1] - b[i + 1]) + Math.abs(a[i + 2] - b[i + 2]);
      if (by > NOISE) changed += 1;
    }
    return changed / (WIDTH * HEIGHT);
  }

  /** How much the scene alone changes the picture in so long a time. */
  async function motion() {
    const seen = [];
    for (const end = performance.now() + BEFORE_MS; performance.now() < end; await tick()) {
      seen.push({ at: performance.now(), data: look() });
    }
    let most = 0;
    for (const late of seen) {
      for (const early of seen) if (early.at < late.at && late.at - early.at < LATER_MS) most = Math.max(most, distance(early.data, late.data));
    }
    return most;
  }

  /** ms until the picture has changed by more than the scene does. */
  async function untilPicture(act) {
    const most = 1.3 * (await motion()) + 0.03;
    const before = look();
    const start = performance.now();
    act();
    while (performance.now() - start < TIMEOUT_MS) {
      await tick();
      if (distance(before, look()) > most) return performance.now() - start;
    }
    return null;
  }

  /** ms until an event of the server has another value at `key`. */
  function untilEvent(name, key, act) {
    const value = () => JSON.stringify(heard[name][0]?.[key] ?? null);
    return new Promise((done) => {
      const before = value();
      const start = performance.now();
      const end = (ms) => { removeEventListener(`probe-${name}`, look); done(ms); };
      const look = () => { if (value() !== before) end(performance.now() - start); };
      addEventListener(`probe-${name}`, look);
      setTimeout(() => end(null), TIMEOUT_MS);
      act();
    });
  }

  /** ms until the page itself shows it. */
  async function untilPage(expression, act) {
    const before = expression();
    const start = performance.now();
    act();
    while (performance.now() - start < TIMEOUT_MS) {
      if (expression() !== before) return performance.now() - start;
      await tick();
    }
    return null;
  }

  function choose(id, value) {
    const element = document.getElementById(id);
    element.value = value;
    element.dispatchEvent(new Event("input", { bubbles: true }));
  }

  const click = (id) => document.getElementById(id).click();
  const press = (key) => document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));

  /** A drag on the picture from one place to another, shares of its size. */
  function drag([fromX, fromY], [toX, toY], shiftKey = false) {
    const frame = document.getElementById("frame");
    const box = frame.getBoundingClientRect();
    const fire = (type, x, y) => frame.dispatchEvent(new PointerEvent(type, {
      clientX: box.left + x * box.width, clientY: box.top + y * box.height, pointerId: 1, bubbles: true, shiftKey,
    }));
    fire("pointerdown", fromX, fromY);
    for (const share of [0.25, 0.5, 0.75, 1]) fire("pointermove", fromX + share * (toX - fromX), fromY + share * (toY - fromY));
    fire("pointerup", toX, toY);
  }

  function wheel(deltaY) {
    const frame = document.getElementById("frame");
    const box = frame.getBoundingClientRect();
    const at = { clientX: box.left + box.width / 2, clientY: box.top + box.height / 2 };
    frame.dispatchEvent(new WheelEvent("wheel", { deltaY, ...at, bubbles: true, cancelable: true }));
  }

  window.probe = {
    ready, untilPicture, untilEvent, untilPage, choose, click, press, drag, wheel, look, distance, heard,
  };
})();
