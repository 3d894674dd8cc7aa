// The marking page: what is half marked, what is saved, and how clicks and keys change it.

const REACH_PX = 11, SOON_MS = 120;
const HELP = "Click a spot in the still, then the same spot on the map, or the other way round. Drag a mark to move it. Wheel zooms, dragging moves the view.";
let DATA = null, waiting = 0, failed = false, queue = Promise.resolve(), solving = null;

const element = id => document.getElementById(id);
const now = {
  camera: null, index: 0, level: 0, picture: null, plan: null, found: null, next: null, residuals: {}, wrong: {}, verdict: null,
  state: { marks: {}, lines: {}, points: [], revision: -1 }, points: [], selected: null, dragged: null,
  mode: "point", drawing: null, draggedEnd: null, selectedLine: null, set: "A",
  pending: { pixel: null, point: null, place: null, spot: null }, showLines: true, showPredicted: false, palette: null,
  marks() {
    const marks = this.state.marks[this.camera?.name] ?? [];
    return this.dragged ? marks.map(mark => mark.point === this.dragged.point ? { ...mark, ...this.dragged } : mark) : marks;
  },
};
const stillPane = new Pane(element("still"), null, {
  paint: paintStill, click: clickStill, hover: hoverStill, grab: (x, y) => now.mode === "point" ? markAt(x, y) : now.drawing ? null : endAt(x, y),
  drag: (held, x, y) => held.line ? dragEnd(held, x, y) : dragMark(held, x, y), drop: held => held.line ? dropEnd() : dropMark(held),
});
const mapPane = new Pane(element("map"), null, {
  paint: paintMap, click: clickMap, hover: hoverMap, grab: () => null, drag: () => {}, drop: () => {},
});

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

// What the server says; its own errors are told, and a server that is gone too.
async function ask(path, body) {
  const options = body === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let answer;
  try { answer = await fetch(path, options); } catch { throw new Error("geoloc mark does not answer; is it still running in its terminal?"); }
  const data = await answer.json();
  if (!answer.ok) throw new Error(data.error);
  return data;
}

// Changes go out one after the other, each saved before the next.
function change(body) {
  waiting++;
  showSaved();
  const turn = queue.then(() => ask("change", body)).then(state => {
    failed = false;
    take(state);
    // what was undone may be of another camera: show it
    const changed = DATA.cameras.findIndex(camera => camera.name === state.changed);
    if (["undo", "redo"].includes(body.action) && changed >= 0 && changed !== now.index) setCamera(changed);
    return true;
  }, error => {
    failed = true;
    toast(error.message);
    return false;
  }).finally(() => { waiting--; now.dragged = null; showSaved(); repaint(); });
  queue = turn;
  return turn;
}

function take(state) {
  now.state = state;
  now.points = state.points;
  takeProposals(state);
  if (!now.marks().some(mark => mark.point === now.selected) && !state.points.some(point => point.name === now.selected)) now.selected = null;
  showCameras();
  showSets();
  showList();
  solve();
}

// Residuals of this camera; an answer about older marks or another camera is not shown.
async function solve() {
  clearTimeout(solving);
  element("verdict").setAttribute("aria-busy", "true");
  solving = setTimeout(async () => {
    const index = now.index, revision = now.state.revision;
    try {
      const verdict = await ask(`solve/${index}`);
      if (index !== now.index || revision !== now.state.revision) return;
      now.verdict = verdict;
      now.residuals = verdict.residuals ?? {};
      now.found = verdict.camera ?? null;
      now.next = verdict.next ?? null;
      now.wrong = verdict.wrong ?? {};
    } catch (error) { now.verdict = { message: error.message, revision }; now.residuals = now.wrong = {}; now.found = now.next = null; }
    element("verdict").removeAttribute("aria-busy");
    showVerdict();
    showList();
    repaint();
  }, SOON_MS);
}

function repaint() { stillPane.change(); mapPane.change(); }

function setCamera(index) {
  now.index = (index + DATA.cameras.length) % DATA.cameras.length;
  now.camera = DATA.cameras[now.index];
  Object.assign(now, { picture: null, found: null, next: null, residuals: {}, wrong: {}, verdict: null, selected: null, selectedLine: null, drawing: null });
  giveUp();
  stillPane.show(new StillView(now.camera.size));
  element("warning").hidden = !now.camera.warning;
  element("warning").textContent = now.camera.warning;
  element("still").setAttribute("aria-label", `Still of ${now.camera.name}`);
  showCameras();
  showList();
  showVerdict();
  loadPicture(`still/${now.index}`).then(([picture, of]) => {
    if (of !== `still/${now.index}`) return;
    now.picture = picture;
    repaint();
  }, error => toast(error.message));
  solve();
}

async function loadPicture(address) {
  const picture = new Image();
  picture.src = address;
  try { await picture.decode(); } catch { throw new Error("the picture cannot be shown; is it whole?"); }
  return [picture, address];
}

function setLevel(level) {
  now.level = level;
  [...element("levels").children].forEach((button, i) => {
    button.setAttribute("aria-checked", String(i === level));
    button.tabIndex = i === level ? 0 : -1;
  });
  showScan();
  if (now.camera) showVerdict();
  repaint();
}

// ---- marking

function nearest(x, y, spots) {
  let best = null, least = REACH_PX;
  for (const [thing, [u, v]] of spots) {
    const away = Math.hypot(u - x, v - y);
    if (away <= least) [best, least] = [thing, away];
  }
  return best;
}

function markAt(x, y) { return nearest(x, y, now.marks().map(mark => [mark, stillPane.view.ofPixel(mark.u, mark.v)])); }

function pointAt(x, y) {
  const here = now.points.filter(point => point.level === now.level);
  return nearest(x, y, here.map(point => [point, mapPane.view.toScreen(point.x, point.y)]));
}

function clickStill(x, y) {
  if (now.mode !== "point") return clickLine(x, y);
  const mark = markAt(x, y), pixel = stillPane.view.pixelAt(x, y);
  if (mark && !now.pending.point && !now.pending.place) return select(mark.point);
  if (!insideStill(pixel)) return;
  now.pending.pixel = rounded(pixel);
  settle();
}

async function clickMap(x, y) {
  const point = pointAt(x, y), place = mapPane.view.toGround(x, y), stall = proposalAt(...place);
  if (stall >= 0 && !point && !now.pending.pixel) {
    proposed.index = stall;
    return showProposal(0);
  }
  if (now.mode !== "point") setMode("point");
  now.pending.point = now.pending.place = now.pending.spot = null;
  if (point) {
    if (!now.pending.pixel && now.marks().some(mark => mark.point === point.name)) return select(point.name);
    now.pending.point = point.name;
    now.selected = point.name;
  } else {
    const pending = now.pending;
    if (scanHere()) {
      try { pending.spot = await pickScan(place); } catch (error) { return toast(error.message); }
      if (pending !== now.pending) return;  // given up meanwhile
    }
    pending.place = place;
  }
  settle();
}

// Both halves there: an existing point is marked at once, a new one is asked about.
function settle() {
  const { pixel, point, place } = now.pending;
  if (pixel && point) {
    giveUp();
    now.selected = point;
    change({ action: "mark", camera: now.camera.name, point, pixel, sigma: sigmaOf(point) });
  } else if (pixel && place) askSpot(place);
  showHint();
  repaint();
}

function sigmaOf(point) { return now.marks().find(mark => mark.point === point)?.sigma ?? 1; }

function giveUp() {
  now.pending = { pixel: null, point: null, place: null, spot: null };
  showHint();
  repaint();
}

function select(point) {
  now.selected = point;
  now.selectedLine = null;
  giveUp();
  const spot = now.points.find(known => known.name === point);
  if (spot && spot.level !== now.level) setLevel(spot.level);
  showList();
}

function dragMark(mark, x, y) {
  const [u, v] = stillPane.view.pixelAt(x, y);
  now.selected = mark.point;
  now.dragged = { point: mark.point, u, v };
  repaint();
}

function dropMark(mark) {
  const { u, v } = now.dragged, [width, height] = now.camera.size;
  const pixel = [Math.min(width - 0.5, Math.max(-0.5, u)), Math.min(height - 0.5, Math.max(-0.5, v))].map(value => Math.round(value * 100) / 100);
  change({ action: "mark", camera: now.camera.name, point: mark.point, pixel, sigma: mark.sigma });
}

function remove(point) {
  const marked = now.marks().some(mark => mark.point === point), own = now.points.find(known => known.name === point)?.own;
  if (marked) change({ action: "unmark", camera: now.camera.name, point });
  else if (own) change({ action: "remove_point", point });
}

function hoverStill(at) {
  const badge = element("still-badge");
  if (!at || !stillPane.view) { badge.textContent = ""; return false; }
  const [u, v] = stillPane.view.pixelAt(...at);
  if (now.mode !== "point") { badge.textContent = `${u.toFixed(1)}, ${v.toFixed(1)} px`; return !now.drawing && endAt(...at) !== null; }
  badge.textContent = `${u.toFixed(1)}, ${v.toFixed(1)} px`;
  return markAt(...at) !== null && !now.pending.point && !now.pending.place;
}

function hoverMap(at) {
  const badge = element("map-badge");
  if (!at || !mapPane.view) { badge.textContent = ""; return false; }
  const [x, y] = mapPane.view.toGround(...at), point = pointAt(...at);
  badge.textContent = point ? `${point.name} · ± ${Math.max(...point.sigma.slice(0, 2)).toFixed(2)} m` : `${x.toFixed(2)}, ${y.toFixed(2)} m`;
  return point !== null;
}

// ---- a new point

const FROM_SCAN = "Height and sigmas are those of the scan's surface there.";
const FROM_MAP = "Surveyed with an instrument: 0.02 m. Measured on a plan: 0.1 m. Read off an aerial picture: 1 m.";
let askedScan = false;  // whether the dialog's numbers came from the scan
let asked = null;  // the place (m) of the point that the dialog is about; null for a tie point

function freeName(stem) {
  const taken = new Set([...now.points.map(point => point.name), ...Object.values(now.state.marks).flat().map(mark => mark.point)]);
  let i = 1;
  while (taken.has(`${stem}${i}`)) i++;
  return `${stem}${i}`;
}

function tieNames() {
  const known = new Set(now.points.map(point => point.name)), here = new Set(now.marks().map(mark => mark.point));
  return [...new Set(Object.values(now.state.marks).flat().map(mark => mark.point))].filter(name => !known.has(name) && !here.has(name));
}

function askSpot(place) {
  const ties = place ? [] : tieNames();
  asked = place;
  element("ask-title").textContent = place ? "A new control point" : "A tie point";
  element("ask-place").textContent = place
    ? `At ${place[0].toFixed(2)}, ${place[1].toFixed(2)} m on ${DATA.levels[now.level].name}.`
    : "Not on the map, but seen by several cameras: mark it in each of them by the same name.";
  element("ask-spot").hidden = element("ask-help").hidden = !place;
  for (const input of element("ask-spot").querySelectorAll("input")) input.disabled = !place;
  element("ties").replaceChildren(...ties.map(name => make("option", { value: name })));
  element("ask-name").value = ties[0] ?? freeName(place ? "P" : "T");
  const spot = place ? now.pending.spot : null;
  if (!spot && askedScan) element("ask-sigma").value = "0.5";
  askedScan = Boolean(spot);
  element("ask-sigma").value = spot ? spot.sigma_xy.toFixed(3) : element("ask-sigma").value || "0.5";
  element("ask-height").value = spot ? spot.height.toFixed(3) : "0";
  element("ask-sigma-z").value = spot ? Math.max(0.001, spot.sigma_z).toFixed(3) : String(DATA.sigma_z[now.level]);
  element("ask-help").textContent = spot ? FROM_SCAN : FROM_MAP;
  element("ask").showModal();
  element("ask-name").select();
}

function answered() {
  const number = id => Number(element(id).value), { pixel } = now.pending, place = asked, point = element("ask-name").value.trim();
  if (!point || !pixel) return;
  const body = { action: "mark", camera: now.camera.name, point, pixel, sigma: 1 };
  if (place) {
    body.spot = { x: place[0], y: place[1], level: DATA.levels[now.level].name, height: number("ask-height"), sigma_xy: number("ask-sigma"), sigma_z: number("ask-sigma-z") };
  }
  giveUp();
  now.selected = point;
  change(body);
}

// ---- keys, and the start

function key(event) {
  if (element("ask").open) return;
  const command = event.ctrlKey || event.metaKey, typed = event.target.matches("input[type=number], select");
  if (command && event.key.toLowerCase() === "z") change({ action: event.shiftKey ? "redo" : "undo" });
  else if (command && event.key.toLowerCase() === "y") change({ action: "redo" });
  else if (command || typed) return;
  else if (event.key === "Escape") {
    if (now.drawing) now.drawing = null; else if (now.mode !== "point") setMode("point");
    now.selected = now.selectedLine = null;
    giveUp();
    showList();
  } else if ((event.key === "Delete" || event.key === "Backspace") && linesHere().some(line => sameLine(line, now.selectedLine))) eraseLine(now.selectedLine);
  else if ((event.key === "Delete" || event.key === "Backspace") && now.selected) remove(now.selected);
  else if (event.key.toLowerCase() === "a" && currentProposal()) decide("accept");
  else if (event.key.toLowerCase() === "r" && currentProposal()) decide("reject");
  else if (event.key === "[") setCamera(now.index - 1);
  else if (event.key === "]") setCamera(now.index + 1);
  else return;
  event.preventDefault();
}

function showLevels() {
  if (DATA.levels.length < 2) return;
  element("levels").replaceChildren(...DATA.levels.map((level, i) => make("button", {
    type: "button", role: "radio", onclick: () => setLevel(i),
    onkeydown: event => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      setLevel((i + step + DATA.levels.length) % DATA.levels.length);
      element("levels").children[now.level].focus();
    },
  }, level.name)));
}

function dress() {
  const style = getComputedStyle(document.documentElement);
  now.palette = { ...readPalette(), poor: style.getPropertyValue("--heat-5").trim() };
  repaint();
}

async function start() {
  DATA = await ask("site");
  document.title = `Marking · ${DATA.site}`;
  element("title").textContent = DATA.site;
  dress();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", dress);
  showLevels();
  startLines();
  startScan();
  startProposals();
  setLevel(0);
  mapPane.show(new View(DATA.box));
  if (DATA.plan) loadPicture("plan").then(([picture]) => { now.plan = picture; repaint(); }, error => toast(error.message));
  take(await ask("state"));
  const first = DATA.cameras.findIndex(camera => camera.name === sessionStorage.getItem("camera"));
  setCamera(Math.max(0, first));
  if (currentProposal()) showProposal(0);
  showSaved();
}

element("camera").addEventListener("change", event => setCamera(Number(event.target.value)));
element("before").addEventListener("click", () => setCamera(now.index - 1));
element("after").addEventListener("click", () => setCamera(now.index + 1));
element("undo").addEventListener("click", () => change({ action: "undo" }));
element("redo").addEventListener("click", () => change({ action: "redo" }));
element("reload").addEventListener("click", () => change({ action: "reload" }));
element("show-lines").addEventListener("change", event => { now.showLines = event.target.checked; repaint(); });
element("show-predicted").addEventListener("change", event => { now.showPredicted = event.target.checked; repaint(); });
element("ask-no").addEventListener("click", () => { element("ask").close(); giveUp(); });
element("ask").addEventListener("cancel", () => giveUp());
element("ask-form").addEventListener("submit", answered);
document.addEventListener("keydown", key);
addEventListener("pagehide", () => { if (now.camera) sessionStorage.setItem("camera", now.camera.name); });
addEventListener("beforeunload", event => {
  if (waiting || failed || element("ask").open) event.preventDefault();
});
start().catch(error => toast(error.message));
