// Straight lines of the world, drawn into the still: plumb, parallel, horizon. Two clicks each; ends are dragged.

const LINE_KINDS = {
  plumb: "Click both ends of something plumb: an edge of a house, a mast",
  parallel: "Click both ends of each line of this set: kerbs, lanes, eaves",
  horizon: "Click two spots of the horizon, far apart",
};
const LINE_COLOURS = { plumb: "#ff9df0", horizon: "#ffffff" }, SET_COLOURS = ["#ffb057", "#b7a5ff", "#c6f06a", "#ff8f7a"];
const SHORTEST_PX = 10;

function linesHere() {
  const lines = now.state.lines?.[now.camera?.name] ?? [], held = now.draggedEnd;
  return held ? lines.map(line => sameLine(line, held.line) ? movedEnd(held) : line) : lines;
}

function movedEnd({ line, end, at }) { return { ...line, [end]: at }; }

function sameLine(one, other) { return Boolean(one && other) && JSON.stringify(one) === JSON.stringify(other); }

function setNames() {
  return [...new Set(Object.values(now.state.lines ?? {}).flat().filter(line => line.kind === "parallel").map(line => line.group))].sort();
}

function newSet() {
  const taken = setNames();
  for (let i = 0; ; i++) {
    const name = i < 26 ? String.fromCharCode(65 + i) : `S${i}`;
    if (!taken.includes(name)) return name;
  }
}

function lineColour(line) {
  return LINE_COLOURS[line.kind] ?? SET_COLOURS[Math.max(0, setNames().indexOf(line.group)) % SET_COLOURS.length];
}

function lineName(line) { return line.kind === "parallel" ? `parallel ${line.group}` : line.kind; }

function setMode(mode) {
  now.mode = mode;
  now.drawing = null;
  if (mode !== "point") now.pending = { pixel: null, point: null, place: null, spot: null };
  for (const button of element("modes").children) {
    button.setAttribute("aria-checked", String(button.dataset.mode === mode));
    button.tabIndex = button.dataset.mode === mode ? 0 : -1;
  }
  element("lists").classList.toggle("lines-first", mode !== "point");
  element("set-field").hidden = mode !== "parallel";
  showSets();
  showHint();
  repaint();
}

function showSets() {
  const names = setNames(), fresh = newSet(), select = element("set");
  if (![...names, fresh].includes(now.set)) now.set = names.at(-1) ?? fresh;
  select.replaceChildren(...names.map(name => make("option", { value: name }, name)), make("option", { value: fresh }, `${fresh} (new)`));
  select.value = now.set;
}

function insideStill([u, v]) {
  const [width, height] = now.camera.size;
  return u >= -0.5 && u <= width - 0.5 && v >= -0.5 && v <= height - 0.5;
}

function rounded(pixel) { return pixel.map(value => Math.round(value * 100) / 100); }

function clickLine(x, y) {
  const at = stillPane.view.pixelAt(x, y);
  if (!insideStill(at)) return;
  if (!now.drawing) now.drawing = rounded(at);
  else if (Math.hypot(at[0] - now.drawing[0], at[1] - now.drawing[1]) < SHORTEST_PX) toast("That line is too short to have a direction; click its other end farther away.");
  else {
    const line = { kind: now.mode, group: now.mode === "parallel" ? now.set : "", start: now.drawing, end: rounded(at) };
    now.drawing = null;
    now.selectedLine = line;
    change({ action: "draw", camera: now.camera.name, line });
  }
  showHint();
  repaint();
}

function endAt(x, y) {
  const ends = linesHere().flatMap(line => ["start", "end"].map(end => [{ line, end }, stillPane.view.ofPixel(...line[end])]));
  return nearest(x, y, ends);
}

function dragEnd(held, x, y) {
  const [width, height] = now.camera.size, [u, v] = stillPane.view.pixelAt(x, y);
  now.draggedEnd = { ...held, at: rounded([Math.min(width - 0.5, Math.max(-0.5, u)), Math.min(height - 0.5, Math.max(-0.5, v))]) };
  repaint();
}

function dropEnd() {
  const held = now.draggedEnd, line = movedEnd(held);
  now.selectedLine = line;
  const turn = change({ action: "draw", camera: now.camera.name, line, instead_of: held.line });
  turn.finally(() => { now.draggedEnd = null; repaint(); });
}

function eraseLine(line) { change({ action: "erase", camera: now.camera.name, line }); }

function turnOf(index) {
  return now.verdict?.revision === now.state.revision ? now.verdict.turned?.[index] ?? null : null;
}

function showLines() {
  const lines = linesHere(), list = element("lines");
  element("lines-head").hidden = list.hidden = !lines.length;
  element("line-count").textContent = String(lines.length);
  list.replaceChildren(...lines.map((line, i) => {
    const turned = turnOf(i), dot = make("i", { class: "dot" }), length = Math.hypot(line.end[0] - line.start[0], line.end[1] - line.start[1]);
    dot.style.background = lineColour(line);
    const name = make("button", { type: "button", class: "point", onclick: () => selectLine(line) }, dot, lineName(line));
    const text = turned === null ? "" : `${(turned * 180 / Math.PI).toFixed(2)}° off`;
    const gone = make("button", { type: "button", class: "gone", title: "Remove this line", "aria-label": `Remove line ${i + 1}, ${lineName(line)}`, onclick: () => eraseLine(line) }, "✕");
    return make("li", { class: sameLine(line, now.selectedLine) ? "chosen" : "" }, name, make("span", { class: "size" }, `${length.toFixed(0)} px`), make("span", { class: "size", title: "How far it is from what it is said to be, by this calibration" }, text), gone);
  }));
}

function selectLine(line) {
  now.selectedLine = line;
  now.selected = null;
  showList();
  repaint();
}

function paintDrawn(context, view) {
  linesHere().forEach(line => paintLine(context, view, line.start, line.end, lineColour(line), sameLine(line, now.selectedLine)));
  if (!now.drawing) return;
  const at = stillPane.cross ?? stillPane.mouse;
  paintLine(context, view, now.drawing, at ? view.pixelAt(...at) : now.drawing, lineColour({ kind: now.mode, group: now.set }), true);
}

// Names come after those of the marks, where there is room left.
function paintLineNames(context, view) {
  for (const line of linesHere()) {
    const [from, to] = [view.ofPixel(...line.start), view.ofPixel(...line.end)];
    label(context, (from[0] + to[0]) / 2, (from[1] + to[1]) / 2, lineName(line), lineColour(line), sameLine(line, now.selectedLine));
  }
}

function paintLine(context, view, start, end, colour, chosen) {
  const from = view.ofPixel(...start), to = view.ofPixel(...end), way = new Path2D(), dots = new Path2D();
  way.moveTo(...from);
  way.lineTo(...to);
  for (const [x, y] of [from, to]) { dots.moveTo(x + 4, y); dots.arc(x, y, chosen ? 4.5 : 3.5, 0, 2 * Math.PI); }
  stroke(context, "#000", chosen ? 6 : 4.5, way, 0.45);
  stroke(context, colour, chosen ? 3 : 2, way);
  fill(context, dots, colour);
  stroke(context, "#000", 1, dots, 0.6);
}

function startLines() {
  const names = { point: "Points", plumb: "Plumb", parallel: "Parallel", horizon: "Horizon" }, modes = Object.keys(names);
  element("modes").replaceChildren(...modes.map((mode, i) => make("button", {
    type: "button", role: "radio", "data-mode": mode, onclick: () => setMode(mode), title: mode === "point" ? "Mark points" : LINE_KINDS[mode],
    onkeydown: event => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      setMode(modes[(i + step + modes.length) % modes.length]);
      element("modes").querySelector('[aria-checked="true"]').focus();
    },
  }, names[mode])));
  element("set").addEventListener("change", event => { now.set = event.target.value; });
  setMode("point");
}
