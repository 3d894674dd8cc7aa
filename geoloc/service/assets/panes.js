// A pane: a canvas that is zoomed by wheel and fingers, moved by dragging, and clicked by mouse or keys.

const CLICK_PX = 5, STEP_PX = 12;

// A still is looked at as a map whose y is -v: what View does for the ground then holds for pixels.
class StillView extends View {
  constructor([width, height]) { super([-0.5, 0.5 - height, width - 0.5, 0.5]); }
  ofPixel(u, v) { return this.toScreen(u, -v); }
  pixelAt(x, y) { const [u, v] = this.toGround(x, y); return [u, -v]; }
}

class Pane {
  // hooks: paint(context, view), click(x, y), hover(at or null), grab(x, y) -> what is held or null, drag, drop
  constructor(canvas, view, hooks) {
    Object.assign(this, { canvas, view, hooks, context: canvas.getContext("2d"), cross: null, mouse: null });
    this.pointers = new Map();
    this.held = this.start = null;
    new ResizeObserver(() => this.resize()).observe(canvas);
    const on = (name, act, options) => canvas.addEventListener(name, act.bind(this), options);
    on("pointerdown", this.down);
    on("pointermove", this.move);
    on("pointerup", this.up);
    on("pointercancel", this.cancel);
    on("pointerleave", () => { this.mouse = null; this.hooks.hover(null); this.change(); });
    on("wheel", this.wheel, { passive: false });
    on("keydown", this.key);
    on("blur", () => { this.cross = null; this.change(); });
    for (const button of canvas.parentElement.querySelectorAll("[data-zoom]")) {
      button.addEventListener("click", () => this.zoom(button.dataset.zoom));
    }
  }

  show(view) { this.view = view; this.resize(); }

  resize() {
    const { clientWidth: width, clientHeight: height } = this.canvas, ratio = window.devicePixelRatio || 1;
    if (!width || !height) return;
    this.canvas.width = Math.round(width * ratio);
    this.canvas.height = Math.round(height * ratio);
    this.ratio = ratio;
    this.view?.resize(width, height);
    this.change();
  }

  // Drawn once a frame at most, however much has changed.
  change() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      if (!this.view) return;
      this.context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
      this.hooks.paint(this.context, this.view);
    });
  }

  at(event) { const box = this.canvas.getBoundingClientRect(); return [event.clientX - box.left, event.clientY - box.top]; }

  down(event) {
    if (event.button > 1 || !this.view) return;
    this.canvas.setPointerCapture(event.pointerId);
    const at = this.at(event);
    this.pointers.set(event.pointerId, at);
    this.start = this.pointers.size === 1 ? { at, moved: false, held: event.button === 0 ? this.hooks.grab(...at) : null, button: event.button } : null;
  }

  move(event) {
    const at = this.at(event), before = this.pointers.get(event.pointerId);
    if (event.pointerType !== "touch") this.mouse = at;
    this.cross = null;
    if (!before) this.canvas.classList.toggle("over", Boolean(this.hooks.hover(at)));
    else if (this.pointers.size === 2) this.pinch(event.pointerId, before, at);
    else if (this.start) this.drag(before, at);
    if (before) this.pointers.set(event.pointerId, at);
    this.change();
  }

  drag(before, at) {
    const start = this.start;
    if (!start.moved && Math.hypot(at[0] - start.at[0], at[1] - start.at[1]) < CLICK_PX) return;
    const from = start.moved ? before : start.at;
    start.moved = true;
    this.canvas.classList.add("held");
    if (start.held) this.hooks.drag(start.held, ...at);
    else this.view.pan(at[0] - from[0], at[1] - from[1]);
  }

  pinch(id, before, at) {
    const [other] = [...this.pointers].filter(([key]) => key !== id).map(([, spot]) => spot);
    const far = spot => Math.hypot(spot[0] - other[0], spot[1] - other[1]) || 1;
    this.view.zoom(far(at) / far(before), (at[0] + other[0]) / 2, (at[1] + other[1]) / 2);
  }

  up(event) {
    const start = this.start, at = this.at(event);
    this.pointers.delete(event.pointerId);
    this.canvas.classList.remove("held");
    this.start = null;
    if (start?.moved && start.held) this.hooks.drop(start.held, ...at);
    else if (start && !start.moved && start.button === 0) this.hooks.click(...start.at);
    this.change();
  }

  cancel(event) {
    this.pointers.delete(event.pointerId);
    this.start = null;
    this.canvas.classList.remove("held");
  }

  wheel(event) {
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    this.view?.zoom(Math.exp(-0.0016 * event.deltaY * lines), ...this.at(event));
    this.change();
  }

  zoom(how) {
    if (how === "fit") this.view.fit(); else this.view.zoom(how === "in" ? 1.5 : 1 / 1.5);
    this.change();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || !this.view) return;
    const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }, way = ways[event.key];
    if (way) {
      const step = event.shiftKey ? 1 : STEP_PX;
      if (event.altKey) this.view.pan(-40 * way[0], -40 * way[1]);
      else {
        const [x, y] = this.cross ?? [this.view.width / 2, this.view.height / 2];
        this.cross = [Math.min(this.view.width, Math.max(0, x + step * way[0])), Math.min(this.view.height, Math.max(0, y + step * way[1]))];
        this.hooks.hover(this.cross);
      }
    } else if (event.key === "Enter" && this.cross) this.hooks.click(...this.cross);
    else if (event.key === "+" || event.key === "=") this.zoom("in");
    else if (event.key === "-") this.zoom("out");
    else if (event.key === "0") this.zoom("fit");
    else return;
    event.preventDefault();
    this.change();
  }
}
