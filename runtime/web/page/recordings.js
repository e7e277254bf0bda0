// Snapshots and recordings: the buttons, and the list of what can be downloaded.
import { ask, request } from "/net.js";

export class Recordings {
  constructor(find, complain) {
    this.find = find;
    this.complain = complain;
    find("record").addEventListener("click", () => this.toggle());
    find("snapshot").addEventListener("click", () => this.snapshot());
  }

  bind(pair) {
    this.pair = pair;
    this.recording = undefined;
    this.show();
    this.refresh();
  }

  /** Shows whether the pair records, and for how long. */
  show() {
    const recording = this.pair.status.recording || null;
    if (this.asking) return;
    this.find("record").setAttribute("aria-pressed", String(Boolean(recording)));
    this.find("record-shape").setAttribute("href", recording ? "#i-stop" : "#i-record");
    this.find("record-word").textContent = recording ? `Stop ${minutes(recording.seconds || 0)}` : "Record";
    // It may have been stopped from another page.
    if (this.recording && !recording) this.refresh();
    this.recording = recording;
  }

  async toggle() {
    const { pair } = this;
    if (this.asking) return;
    const on = !pair.status.recording;
    this.asking = true;
    this.find("record").setAttribute("aria-pressed", String(on));
    this.find("record-word").textContent = on ? "Starting" : "Stopping";
    try {
      const { recording, files } = await ask("POST", `${pair.path}/recording`, { on });
      pair.status = { ...pair.status, recording };
      if (pair === this.pair && files) this.#list(files);
    } catch (error) {
      this.complain(error.message);
    }
    this.asking = false;
    this.show();
  }

  async snapshot() {
    try {
      const answer = await request("POST", `${this.pair.path}/snapshot`, {});
      const name = /filename="?([^";]+)/.exec(answer.headers.get("Content-Disposition") || "");
      save(await answer.blob(), name ? name[1] : "snapshot.png");
    } catch (error) {
      this.complain(error.message);
    }
  }

  async refresh() {
    const { pair } = this;
    try {
      const { files } = await ask("GET", `${pair.path}/recordings`);
      if (pair === this.pair) this.#list(files);
    } catch {
      // without the list the page is as useful as before
    }
  }

  #list(files) {
    this.find("files-none").hidden = files.length > 0;
    this.find("files").replaceChildren(...files.map(item).reverse());
  }
}

function item(file) {
  const line = document.createElement("li");
  const name = Object.assign(document.createElement("div"), { className: "name" });
  const title = Object.assign(document.createElement("b"), { textContent: file.name, title: file.name });
  const about = document.createElement("span");
  about.textContent = [minutes(file.seconds || 0), `${((file.bytes || 0) / 1e6).toFixed(1)} MB`].join(" · ");
  name.append(title, about);
  const link = Object.assign(document.createElement("a"), {
    href: `/api/recordings/${encodeURIComponent(file.id)}`, download: file.name, className: "download",
    textContent: "Download",
  });
  link.setAttribute("aria-label", `Download ${file.name}`);
  line.append(name, link);
  return line;
}

function save(blob, name) {
  const link = Object.assign(document.createElement("a"), { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

function minutes(seconds) {
  const whole = Math.floor(seconds);
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}
