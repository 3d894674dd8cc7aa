// What charts say under the mouse, a finger or the arrow keys. Names are set as text, never as markup.
(() => {
  const SVG = "http://www.w3.org/2000/svg";
  const NEAR = 0.02; // of an axis: a curve without a point so near says nothing there
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("role", "status");
  document.body.append(tip);

  const add = (parent, tag, text = "", name = "") => {
    const made = document.createElement(tag);
    made.textContent = text;
    if (name) made.className = name;
    parent.append(made);
    return made;
  };

  function plain(value) {
    if (value === null || !Number.isFinite(value)) return "";
    return Math.abs(value) >= 1000
      ? value.toLocaleString("en", { maximumFractionDigits: 0 })
      : Number(value.toPrecision(4)).toLocaleString("en", { maximumFractionDigits: 8 });
  }

  function show(x, y) {
    tip.hidden = false;
    const box = tip.getBoundingClientRect(), gap = 14;
    const left = x + gap + box.width > innerWidth - 8 ? x - gap - box.width : x + gap;
    const top = y + gap + box.height > innerHeight - 8 ? y - gap - box.height : y + gap;
    tip.style.transform = `translate(${Math.max(8, left)}px, ${Math.max(8, top)}px)`;
  }

  function hide() {
    tip.hidden = true;
  }

  const along = ([low, high, start, end], value) => start + (value - low) / (high - low) * (end - start);
  const back = ([low, high, start, end], pixel) => low + (pixel - start) / (end - start) * (high - low);

  // Index of the ascending xs that is nearest to x.
  function nearest(xs, x) {
    let low = 0, high = xs.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (xs[middle] <= x) low = middle; else high = middle;
    }
    return x - xs[low] <= xs[high] - x ? low : high;
  }

  class Reader {
    constructor(svg) {
      this.svg = svg;
      this.data = JSON.parse(svg.dataset.chart);
      this.lines = this.data.lines.filter(line => line.x.length);
      // references tell their value too, but only measured points are stopped at, where there are any
      const measured = this.lines.filter(line => line.colour !== "r");
      const stops = (measured.length ? measured : this.lines).flatMap(line => line.x);
      this.stops = [...new Set(stops)].sort((a, b) => a - b);
      this.at = -1;
    }

    go(at) {
      this.clear();
      if (!this.stops.length) return;
      this.at = Math.max(0, Math.min(this.stops.length - 1, at));
      const x = this.stops[this.at], { data } = this, reach = NEAR * (data.x[1] - data.x[0]);
      const group = document.createElementNS(SVG, "g");
      group.setAttribute("class", "reading");
      this.svg.append(group);
      const px = along(data.x, x);
      this.draw(group, "line", { class: "guide", x1: px, x2: px, y1: data.y[2], y2: data.y[3] });
      tip.replaceChildren();
      add(tip, "b", `${data.label}: ${plain(x)}`);
      for (const line of this.lines) {
        const i = nearest(line.x, x);
        if (Math.abs(line.x[i] - x) > reach || line.y[i] === null) continue;
        const spot = { cx: along(data.x, line.x[i]), cy: along(data.y, line.y[i]) };
        this.draw(group, "circle", { class: `spot ${line.colour}`, r: 4.5, ...spot });
        const row = add(tip, "span", "", line.colour);
        add(row, "i");
        add(row, "span", line.name).style.display = "inline";
        const band = line.low && line.low[i] !== null ? ` (${plain(line.low[i])} to ${plain(line.high[i])})` : "";
        add(row, "strong", plain(line.y[i]) + band);
      }
    }

    draw(parent, tag, attributes) {
      const made = document.createElementNS(SVG, tag);
      for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
      parent.append(made);
    }

    point(event) {
      const spot = new DOMPoint(event.clientX, event.clientY).matrixTransform(this.svg.getScreenCTM().inverse());
      if (!this.stops.length) return;
      this.go(nearest(this.stops, back(this.data.x, spot.x)));
      show(event.clientX, event.clientY);
    }

    step(by) {
      if (!this.stops.length) return;
      this.go(this.at < 0 ? 0 : this.at + by);
      const box = this.svg.querySelector(".guide").getBoundingClientRect();
      show(box.left, box.top);
    }

    clear() {
      this.svg.querySelector(".reading")?.remove();
    }

    leave() {
      this.clear();
      this.at = -1;
      hide();
    }
  }

  for (const svg of document.querySelectorAll("svg[data-chart]")) {
    let reader = null;
    const read = () => reader ??= new Reader(svg);
    svg.addEventListener("pointermove", event => read().point(event));
    svg.addEventListener("pointerdown", event => read().point(event));
    svg.addEventListener("pointerleave", () => read().leave());
    svg.addEventListener("blur", () => read().leave());
    svg.addEventListener("keydown", event => {
      const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (by) { event.preventDefault(); read().step(by); }
      if (event.key === "Escape") read().leave();
    });
  }

  const told = event => event.target.closest?.("[data-tip]");
  const tell = (element, x, y) => { tip.textContent = element.dataset.tip; show(x, y); };
  document.addEventListener("pointerover", event => told(event) && tell(told(event), event.clientX, event.clientY));
  document.addEventListener("pointermove", event => told(event) && show(event.clientX, event.clientY));
  document.addEventListener("pointerout", event => told(event) && hide());
  document.addEventListener("focusin", event => {
    const element = told(event);
    if (!element) return;
    const box = element.getBoundingClientRect();
    tell(element, box.left, box.bottom);
  });
  document.addEventListener("focusout", event => told(event) && hide());
  addEventListener("scroll", hide, { passive: true });
})();
