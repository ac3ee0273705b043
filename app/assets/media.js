// The picture with numbered boxes, where a network looked, and a video's timeline under it: all of one file's data come at
// once, so that a click asks the server for pictures only.
const shown = new WeakMap();
const PLAIN = "Where the network looked";

// on a photo the theme does not matter: the light tones of the bands, readable under dark numbers
const COLOURS = { little: "#7FA8D1", weak: "#E0BE4F", strong: "#EE8A43", very_strong: "#E5656A", none: "#B4BAC8" };
const DASHES = ["", "10 5", "3 4", "10 4 3 4", "16 5", "16 4 3 4"];
const seconds = (time) => `${time.toFixed(1)} s`;
const SVG = "http://www.w3.org/2000/svg";
function svg(tag, attributes, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== "") node.setAttribute(name, value);
  node.append(...children);
  return node;
}

class Media {
  constructor(root, data, ask) {
    Object.assign(this, { root, data, ask, looked: false, network: data.networks[0]?.name, url: `${data.base}/check/${data.check}` });
    this.number = data.people[0]?.number ?? null;
    this.time = data.video ? data.people[0]?.best ?? data.middle : null;
    this.times = [...new Set(data.people.flatMap((person) => person.points.map((point) => point.t)))].sort((a, b) => a - b);
    this.asked = 0;
    this.draw();
    this.move(this.time);
  }
  get person() { return this.data.people.find((person) => person.number === this.number); }
  at(person, time) {
    if (!person) return null;
    if (time == null) return person.points[0] ?? null;
    const reach = this.data.step * 0.75;
    let best = null;
    for (const point of person.points) if (Math.abs(point.t - time) <= reach && (!best || Math.abs(point.t - time) < Math.abs(best.t - time))) best = point;
    return best;
  }

  draw() {
    const { data } = this;
    this.image = el("img", { alt: "" });
    this.heat = el("img", { alt: "", class: "heat", hidden: true });
    this.boxes = el("div", { class: "boxes" });
    this.fit = el("div", { class: "fit" }, this.image, this.heat, this.boxes);
    // a tall picture is narrowed instead of pushing the page down
    this.fit.style.maxWidth = `${Math.round((data.max_height * data.width) / data.height)}px`;
    this.fit.style.aspectRatio = `${data.width} / ${data.height}`;
    this.stage = el("div", { class: "stage", role: "group" }, this.fit);
    this.caption = el("span", { class: "caption" });
    const parts = [this.stage];
    const bar = el("div", { class: "controls" });
    if (data.video && this.times.length > 1) bar.append(this.playButton());
    bar.append(this.caption);
    this.keep = el("a", { class: "button quiet", download: "" }, "Save frame");
    if (data.video) bar.append(this.keep);
    bar.append(this.closerButton());
    if (data.networks.length) bar.append(this.lookButton());
    parts.push(bar, this.legend(), this.closer());
    if (data.video && this.times.length) parts.push(this.timeline());
    if (data.people.length > 1) parts.push(this.cards());
    this.root.replaceChildren(...parts);
  }

  // ---- time
  playButton() {
    this.play = el("button", { type: "button", class: "quiet" }, "Play");
    this.play.onclick = () => (this.playing ? this.halt() : this.run());
    return this.play;
  }
  run() {
    this.playing = true;
    this.play.textContent = "Pause";
    if (this.time >= this.times.at(-1)) this.move(this.times[0]);
    if (this.data.playable) {
      if (!this.film) {
        this.film = el("video", { playsinline: true, preload: "auto", src: `${this.url}/video` });
        this.film.onended = () => this.halt();
        this.film.onerror = () => { this.data.playable = false; this.film.remove(); this.film = null; if (this.playing) this.run(); };
        this.fit.insertBefore(this.film, this.heat);
      }
      this.film.hidden = false;
      this.film.currentTime = this.time;
      const follow = () => {
        if (!this.playing || !this.film) return;
        this.move(this.film.currentTime, true);
        requestAnimationFrame(follow);
      };
      this.film.play().then(follow, () => this.halt());
      return;
    }
    // a kind that no browser plays: the frames that were looked at, each for as long as it stands
    const next = () => {
      if (!this.playing || !this.root.isConnected) return;
      const after = this.times.find((time) => time > this.time + 1e-6);
      if (after === undefined) return this.halt();
      const wait = Math.min(after - this.time, 1.5);
      this.clock = setTimeout(() => { this.move(after); next(); }, 1000 * wait);
    };
    next();
  }
  halt() {
    if (!this.playing) return;
    this.playing = false;
    clearTimeout(this.clock);
    this.play.textContent = "Play";
    if (this.film) {
      this.film.pause();
      this.film.hidden = true;
    }
    this.move(this.nearest(this.time));
  }
  nearest(time) {
    return this.times.reduce((best, other) => (Math.abs(other - time) < Math.abs(best - time) ? other : best), this.times[0] ?? time);
  }
  step(by) {
    const now = this.times.indexOf(this.nearest(this.time));
    this.move(this.times[Math.min(Math.max(now + by, 0), this.times.length - 1)]);
  }
  // Shows a time. The picture is swapped when it has come, together with its boxes: they never show different frames.
  async move(time, playing = false) {
    this.time = time;
    this.place();
    const faces = this.facesAt(time), caption = time == null ? "Photo" : `Frame at ${seconds(time)}`;
    const { data } = this, source = time == null ? `${this.url}/frame` : `${this.url}/frame?t=${time}`;
    const dress = () => {
      this.caption.textContent = time == null ? "" : caption;
      this.keep.href = source;
      this.keep.download = `${data.stem}${time == null ? "" : `-${time.toFixed(1)}s`}.unmask.jpg`;
      this.stage.setAttribute("aria-label", `${caption}, ${faces.length} ${faces.length === 1 ? "face" : "faces"} marked`);
      this.boxes.replaceChildren(...faces.map(({ person, point }) => this.box(person, point)));
    };
    if (playing) {
      this.hideHeat();
      return dress();
    }
    const asked = ++this.asked;
    this.hideHeat();
    if (this.image.getAttribute("src") !== source) {
      const next = new Image();
      next.src = source;
      const came = await next.decode().then(() => true, () => false);
      if (asked !== this.asked) return;
      if (came) this.image.src = source;
      else this.stage.classList.add("missing");
    }
    this.image.alt = [caption, ...faces.map(({ person }) => `${person.name}: ${person.words}`)].join(". ");
    dress();
    this.look();
  }
  facesAt(time) {
    return this.data.people.map((person) => ({ person, point: this.at(person, time) })).filter(({ point }) => point);
  }
  box(person, point) {
    const [x0, y0, x1, y1] = point.box;
    const label = `${person.name}: ${person.words}`;
    const many = this.data.people.length > 1;
    const node = el(many ? "button" : "div", { type: many ? "button" : null, class: "box", title: label, "aria-label": many ? label : null,
      "aria-hidden": many ? null : "true" }, el("span", { "aria-hidden": "true" }, String(person.number)));
    node.classList.toggle("rest", person.number !== this.number);
    node.classList.toggle("inside", y0 < 0.09);
    Object.assign(node.style, { left: `${100 * x0}%`, top: `${100 * y0}%`, width: `${100 * (x1 - x0)}%`, height: `${100 * (y1 - y0)}%` });
    node.style.setProperty("--c", COLOURS[person.band] ?? COLOURS.none);
    if (many) node.onclick = () => this.choose(person.number, false);
    return node;
  }

  // ---- where a network looked
  lookButton() {
    this.lens = el("button", { type: "button", class: "quiet", "aria-pressed": "false" }, PLAIN);
    this.lens.onclick = () => {
      this.looked = !this.looked;
      this.lens.setAttribute("aria-pressed", String(this.looked));
      this.key.hidden = !this.looked;
      if (this.looked) this.look(); else this.hideHeat();
    };
    return this.lens;
  }
  legend() {
    this.note = el("span", { role: "status", class: "note" });
    const choice = el("select", { "aria-label": "Network whose map is shown" }, ...this.data.networks.map((network) => el("option", { value: network.name }, network.words)));
    choice.onchange = () => { this.network = choice.value; this.look(); };
    this.key = el("div", { class: "legend", hidden: true },
      el("span", { class: "ramp" }, "raised the score: little", el("i"), "most"),
      this.data.networks.length > 1 ? choice : null, this.note,
      el("p", { class: "small" }, this.data.caveat));
    return this.key;
  }
  hideHeat() {
    this.heat.hidden = true;
    if (this.note) this.note.textContent = "";
  }
  async look() {
    if (!this.looked || this.playing || !this.person) return;
    const point = this.at(this.person, this.time);
    this.hideHeat();
    if (!point || point.p == null) {
      this.note.textContent = `${this.person.name} is not judged in this frame`;
      return;
    }
    const asked = this.asked, network = this.network, number = this.number;
    this.note.textContent = "Drawing…";
    const when = this.time == null ? "" : `&t=${point.t}`;
    const answer = await fetch(`${this.url}/heat?face=${number}&network=${encodeURIComponent(network)}${when}`).catch(() => null);
    if (asked !== this.asked || network !== this.network || number !== this.number || !this.looked) return;
    if (!answer?.ok) {
      this.note.textContent = "This map could not be drawn";
      return;
    }
    const method = answer.headers.get("X-Unmask-Note");
    if (method === "flat") {
      this.note.textContent = "No place stands out";
      return;
    }
    if (method === "unproven") {
      this.note.textContent = "No map: hiding what it marks does not change this network's score";
      return;
    }
    const address = URL.createObjectURL(await answer.blob());
    this.heat.onload = () => URL.revokeObjectURL(address);
    this.heat.src = address;
    this.heat.hidden = false;
    this.lens.title = `By ${method}`;
    this.note.textContent = "";
  }

  // ---- another look at a part
  closerButton() {
    this.lend = el("button", { type: "button", class: "quiet", "aria-expanded": "false" }, "Look closer");
    this.lend.onclick = () => this.showCloser(this.panel.hidden);
    return this.lend;
  }
  closer() {
    const { data } = this;
    // parts of the picture's width and height, in percent: left, top, right, bottom
    const number = (name, label, value, max, step) => {
      const input = el("input", { type: "number", min: 0, max, step, value, id: `closer-${name}` });
      input.oninput = () => this.layPart();
      return { input, row: el("div", {}, el("label", { for: `closer-${name}` }, label), input) };
    };
    const sides = [["left", "Left", 0], ["top", "Top", 0], ["right", "Right", 100], ["bottom", "Bottom", 100]].map(([name, label, value]) => number(name, `${label}, %`, value, 100, 1));
    this.sides = sides.map(({ input }) => input);
    const groups = [el("div", { class: "fields" }, ...sides.map(({ row }) => row))];
    if (data.video) {
      this.from = number("from", "From, s", 0, data.duration, 0.1);
      this.to = number("to", "To, s", Math.round(10 * data.duration) / 10, data.duration, 0.1);
      this.many = el("select", { id: "closer-frames" }, ...data.frames.map((count) => el("option", { value: count }, String(count))));
      this.many.onchange = () => this.layPart();
      groups.unshift(el("div", { class: "fields" }, this.from.row, this.to.row, el("div", {}, el("label", { for: "closer-frames" }, "Frames"), this.many)));
    }
    this.go = el("button", { type: "button", class: "main" }, "Check this part");
    this.go.onclick = () => {
      this.go.disabled = true;
      this.ask({ region: this.region(), start: data.video ? Number(this.from.input.value) : null, end: data.video ? Number(this.to.input.value) : null,
        frames: data.video ? Number(this.many.value) : null });
    };
    const away = el("button", { type: "button" }, "Close");
    away.onclick = () => { this.showCloser(false); this.lend.focus(); };
    const how = data.video
      ? "Another check of this file: a part of its time, more of its frames, or a part of the picture. Drag a frame on the picture, or set the numbers."
      : "Another check of a part of this picture, for a face that was missed or judged beside others. Drag a frame on the picture, or set the numbers.";
    this.panel = el("div", { class: "closer", role: "group", "aria-label": "Look closer", hidden: true }, el("p", { class: "small" }, how),
      ...groups, el("div", { class: "row" }, this.go, away));
    this.part = el("div", { class: "part", "aria-hidden": "true" }, ...["nw", "ne", "sw", "se"].map((corner) => el("i", { class: corner })));
    this.pick = el("div", { class: "pick", hidden: true }, this.part);
    this.pick.onpointerdown = (event) => this.drag(event);
    this.fit.append(this.pick);
    return this.panel;
  }
  showCloser(yes) {
    this.panel.hidden = this.pick.hidden = !yes;
    this.lend.setAttribute("aria-expanded", String(yes));
    if (!yes) return;
    this.halt();
    // a photo's first proposal is the chosen face with much room, or the middle
    if (!this.data.video && this.region() === null) {
      const [x0, y0, x1, y1] = this.person ? this.at(this.person, this.time).box : [0.4, 0.4, 0.6, 0.6];
      const w = x1 - x0, h = y1 - y0;
      this.setPart([x0 - w, y0 - h, x1 + w, y1 + h]);
    } else this.layPart();
  }
  region() {
    const [x0, y0, x1, y1] = this.sides.map((side) => Math.min(Math.max(Number(side.value) / 100 || 0, 0), 1));
    return x0 <= 0 && y0 <= 0 && x1 >= 1 && y1 >= 1 ? null : [x0, y0, x1, y1];
  }
  setPart(part) {
    this.sides.forEach((side, i) => { side.value = Math.round(100 * Math.min(Math.max(part[i], 0), 1)); });
    this.layPart();
  }
  layPart() {
    const [x0, y0, x1, y1] = this.region() ?? [0, 0, 1, 1], { data } = this;
    Object.assign(this.part.style, { left: `${100 * x0}%`, top: `${100 * y0}%`, width: `${100 * Math.max(x1 - x0, 0)}%`, height: `${100 * Math.max(y1 - y0, 0)}%` });
    const large = x1 - x0 >= 0.02 && y1 - y0 >= 0.02;
    let other = this.region() !== null, times = true;
    if (data.video) {
      const from = Number(this.from.input.value), to = Number(this.to.input.value);
      times = from >= 0 && from < to;
      other = other || from > 0 || to < data.duration - 0.05 || Number(this.many.value) !== data.frames[0];
    }
    this.go.disabled = !(large && times && other);
  }
  // A corner is moved, the part is moved, or a new one is drawn from where the pointer went down.
  drag(event) {
    event.preventDefault();
    const area = this.pick.getBoundingClientRect();
    const at = (move) => [(move.clientX - area.left) / area.width, (move.clientY - area.top) / area.height];
    const [x, y] = at(event), before = this.region() ?? [0, 0, 1, 1];
    const corner = event.target.className.length === 2 ? event.target.className : "";
    const inside = event.target === this.part && this.region() !== null;
    this.pick.setPointerCapture(event.pointerId);
    this.pick.onpointermove = (move) => {
      const [nx, ny] = at(move);
      if (inside) {
        const dx = Math.min(Math.max(nx - x, -before[0]), 1 - before[2]), dy = Math.min(Math.max(ny - y, -before[1]), 1 - before[3]);
        return this.setPart([before[0] + dx, before[1] + dy, before[2] + dx, before[3] + dy]);
      }
      const [ax, ay] = corner ? [before[corner[1] === "w" ? 2 : 0], before[corner[0] === "n" ? 3 : 1]] : [x, y];
      this.setPart([Math.min(ax, nx), Math.min(ay, ny), Math.max(ax, nx), Math.max(ay, ny)]);
    };
    this.pick.onpointerup = this.pick.onpointercancel = () => { this.pick.onpointermove = null; };
  }

  // ---- timeline
  timeline() {
    const { data } = this, x = (time) => (100 * time) / data.end;
    const chart = el("div", { class: "chart", role: "img", "aria-label": data.timeline_alt });
    for (const band of data.bands) {
      const zone = el("div", { class: `zone ${band.name}${band.open ? "" : " shut"}` }, el("span", {}, band.label));
      zone.style.bottom = `${100 * band.from}%`;
      zone.style.height = `${100 * (band.to - band.from)}%`;
      chart.append(zone);
    }
    for (const gap of data.gaps) {
      const node = el("div", { class: `gap ${gap.kind}`, title: gap.label }, gap.to - gap.from > data.end / 6 ? el("span", {}, gap.label) : null);
      node.style.left = `${x(gap.from)}%`;
      node.style.width = `${x(gap.to - gap.from)}%`;
      chart.append(node);
    }
    const above = el("div", { class: "above" });
    for (const part of data.parts) {
      const node = el("div", { class: "worst" }), label = el("span", {}, part.label), middle = x((part.from + part.to) / 2);
      node.style.left = `${x(part.from)}%`;
      node.style.width = `${Math.max(x(part.to - part.from), 0.6)}%`;
      // the label stays over the chart wherever its part is
      Object.assign(label.style, { left: `${middle}%`, transform: `translateX(-${middle}%)` });
      above.append(label);
      chart.append(node);
    }
    const drawing = svg("svg", { viewBox: "0 0 1000 100", preserveAspectRatio: "none", "aria-hidden": "true" });
    this.lines = data.people.map((person, index) => {
      let path = "", dots = "", before = null;
      for (const point of person.points) {
        if (point.y == null) { before = null; continue; }
        const at = `${((1000 * point.t) / data.end).toFixed(1)} ${(100 - 100 * point.y).toFixed(2)}`;
        path += `${before && point.t - before.t <= data.away ? "L" : "M"}${at}`;
        dots += `M${at}h0`;
        before = point;
      }
      const colour = `var(--um-line-${person.band})`, dash = DASHES[index % DASHES.length];
      const line = svg("g", {},
        svg("path", { d: path, fill: "none", stroke: colour, "stroke-width": 3, "stroke-dasharray": dash, "vector-effect": "non-scaling-stroke" }),
        svg("path", { d: dots, fill: "none", stroke: colour, "stroke-width": 7, "stroke-linecap": "round", "vector-effect": "non-scaling-stroke" }));
      line.dataset.number = person.number;
      drawing.append(line);
      return line;
    });
    this.cursor = el("div", { class: "cursor" });
    chart.append(drawing, this.cursor);
    const seek = (event) => {
      const area = chart.getBoundingClientRect();
      this.halt();
      this.move(this.nearest(Math.min(Math.max((event.clientX - area.left) / area.width, 0), 1) * data.end));
    };
    chart.onpointerdown = (event) => { chart.setPointerCapture(event.pointerId); seek(event); };
    chart.onpointermove = (event) => { if (event.buttons) seek(event); };

    this.slider = el("input", { type: "range", min: 0, max: data.end, step: "any", "aria-label": "Time of the frame on show" });
    this.slider.oninput = () => { this.halt(); this.move(this.nearest(Number(this.slider.value))); };
    this.slider.onkeydown = (event) => {
      const by = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -5, PageUp: 5 }[event.key];
      if (!by) return;
      event.preventDefault();
      this.halt();
      this.step(by);
    };
    const axis = el("div", { class: "axis", "aria-hidden": "true" }, ...data.ticks.map((tick) => {
      const node = el("span", {}, tick.label);
      node.style.left = `${x(tick.t)}%`;
      return node;
    }));
    const kinds = [...new Map(data.gaps.map((gap) => [gap.kind, gap])).values()];
    const keys = el("p", { class: "small keys" }, ...kinds.map((gap) => el("span", {}, el("i", { class: `gap ${gap.kind}` }), gap.label)));
    this.filmstrip = el("div", { class: "film", role: "group", "aria-label": "Frames that matter" });
    return el("div", { class: "time" }, el("div", { class: "plot" }, data.parts.length ? above : null, chart, this.slider, axis), kinds.length ? keys : null, this.filmstrip);
  }
  place() {
    if (!this.slider || this.time == null) return;
    this.cursor.style.left = `${(100 * this.time) / this.data.end}%`;
    this.slider.value = this.time;
    const point = this.at(this.person, this.time);
    this.slider.setAttribute("aria-valuetext", `${seconds(this.time)}${this.person ? `, ${this.person.name}: ${point?.words ?? "not seen"}` : ""}`);
    for (const line of this.lines) line.classList.toggle("rest", Number(line.dataset.number) !== this.number);
    const stills = this.person?.film ?? [];
    if (this.filmOf !== this.number) {
      this.filmOf = this.number;
      this.filmstrip.replaceChildren(...stills.map((still) => {
        const picture = el("img", { alt: "", src: `${this.url}/thumb?t=${still.t}`, loading: "lazy" });
        picture.style.objectPosition = `${still.x}% ${still.y}%`;
        const button = el("button", { type: "button", class: "still", "aria-label": `Show the frame at ${seconds(still.t)}` }, picture, el("span", {}, seconds(still.t)));
        button.dataset.time = still.t;
        button.onclick = () => { this.halt(); this.move(still.t); };
        return button;
      }));
    }
    for (const button of this.filmstrip.children) button.setAttribute("aria-current", String(Math.abs(button.dataset.time - this.time) < 1e-3));
  }

  // ---- faces
  cards() {
    this.list = el("div", { class: "people", role: "group", "aria-label": this.data.video ? "Persons" : "Faces" });
    for (const person of this.data.people) {
      const when = person.best == null ? "" : `&t=${person.best}`;
      const button = el("button", { type: "button", class: "person" },
        el("img", { alt: "", src: `${this.url}/portrait?face=${person.number}${when}`, loading: "lazy" }),
        el("span", { class: "about" }, el("b", {}, person.name), el("span", { class: "chip" }, el("i", { class: `dot ${person.band}` }), person.words), el("span", { class: "small" }, person.detail)));
      button.dataset.number = person.number;
      button.onclick = () => this.choose(person.number, true);
      this.list.append(button);
    }
    this.press();
    return this.list;
  }
  press() {
    for (const button of this.list?.children ?? []) button.setAttribute("aria-pressed", String(Number(button.dataset.number) === this.number));
  }
  choose(number, move) {
    this.number = number;
    this.press();
    this.halt();
    this.move(move && this.data.video ? this.person.best ?? this.time : this.time);
  }
}

export default function ({ data, parentElement, setTriggerValue }) {
  const before = shown.get(parentElement);
  if (before?.data.check === data.check) return;
  shown.set(parentElement, new Media(parentElement.querySelector(".root"), data, (look) => setTriggerValue("look", look)));
}
