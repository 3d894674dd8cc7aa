// The page: what is shown, and how mouse, touch, keys and the timeline change it.

const DATA = JSON.parse(document.getElementById("data").textContent);
const PLAY = "M4 2.5v11l9-5.5z", PAUSE = "M4 2.5h3v11H4zM9 2.5h3v11H9z";
const SPEEDS = [0.25, 0.5, 1, 2, 4, 8, 16, 60];
const TAILS = [[0, "none"], [5, "5 s"], [15, "15 s"], [60, "1 min"], [300, "5 min"], [Infinity, "all"]];
const LAYERS = { footprints: "Footprints", ellipses: "Error ellipses", ids: "Track ids", names: "Camera names" };
const CLICK_PX = 6, REACH_PX = { mouse: 14, pen: 18, touch: 26 };

const element = id => document.getElementById(id);
const canvas = element("canvas"), context = canvas.getContext("2d"), view = new View(DATA.box);
const scene = {
  level: 0, time: 0, tail: 15, present: [], selected: null, hover: null, hoverCamera: null,
  palette: readPalette(), show: { footprints: true, ellipses: true, ids: true, names: DATA.cameras.length <= 40 },
  cameras: new Set(DATA.cameras.map(camera => camera.name)), series: new Set(DATA.markers.map(series => series.name)),
};
let playing = false, speed = 1, asked = false, before = 0, listed = "";
const pointers = new Map();

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

// Drawing happens once a frame at most, however much has changed.
function change() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(now => {
    asked = false;
    if (playing) advance(now);
    scene.present = DATA.tracks.map(track => trackAt(track, scene.time, DATA.gap)).filter(Boolean);
    paint(context, view, scene);
    showTime();
    showDetails();
    showTracks();
    showLineage();
    if (playing) change();
  });
}

function advance(now) {
  scene.time = Math.min(DATA.seconds, scene.time + speed * Math.max(0, now - before) / 1000);
  before = now;
  if (scene.time >= DATA.seconds) setPlaying(false);
}

function setPlaying(on) {
  if (on && scene.time >= DATA.seconds) scene.time = 0;
  playing = on;
  before = performance.now();
  element("play").setAttribute("aria-label", on ? "Pause" : "Play");
  element("play-sign").setAttribute("d", on ? PAUSE : PLAY);
  change();
}

function setLevel(index) {
  scene.level = index;
  [...element("levels").children].forEach((button, i) => {
    button.setAttribute("aria-checked", String(i === index));
    button.tabIndex = i === index ? 0 : -1;
  });
  change();
}

function select(id) {
  scene.selected = id;
  const spot = scene.present.find(spot => spot.track.id === id);
  if (spot && spot.level !== scene.level) setLevel(spot.level);
  change();
}

function showTime() {
  const text = clockText(scene.time), slider = element("time");
  if (document.activeElement !== slider || playing) slider.value = scene.time;
  slider.setAttribute("aria-valuetext", text);
  element("clock").textContent = text;
}

function facts(spot) {
  const speed = spot.vx === null || spot.vy === null ? null : Math.hypot(spot.vx, spot.vy);
  const heading = (90 - Math.atan2(spot.vy, spot.vx) * 180 / Math.PI + 360) % 360;
  const sigma = spot.a === null ? null : spot.a / Math.sqrt(-2 * Math.log(1 - DATA.probability));
  const rows = [["Level", DATA.levels[spot.level].name], ["Position", `${spot.x.toFixed(2)}, ${spot.y.toFixed(2)} m`]];
  if (DATA.datum) rows.push(["Lat, lon", toGeodetic(DATA.datum, spot.x, spot.y).map(degrees => degrees.toFixed(7)).join(", ")]);
  rows.push(["Sigma", sigma === null ? "not known" : `${sigma.toFixed(2)} m (largest)`]);
  if (speed === null) rows.push(["Velocity", "not known"]);
  else rows.push(["Velocity", speed < 0.05 ? "0.0 m/s" : `${speed.toFixed(1)} m/s, heading ${heading.toFixed(0)}°`]);
  if (spot.state) rows.push(["State", spot.state]);
  if (spot.life) rows.push(["Life", spot.life.replaceAll("_", " ")]);
  return rows;
}

function card(track, rows) {
  const dot = make("span", { class: "dot" }), list = make("dl");
  dot.style.background = scene.palette.track(track.id);
  for (const [name, value] of rows) list.append(make("dt", {}, name), make("dd", {}, value));
  return [make("div", { class: "name" }, dot, make("span", {}, `${track.id}${track.label ? ` ${track.label}` : ""}`)), list];
}

function showDetails() {
  const track = DATA.tracks.find(track => track.id === scene.selected);
  const spot = scene.present.find(spot => spot.track === track);
  if (!track) element("details").replaceChildren(make("p", { class: "quiet" }, "Click a track on the map or in the list."));
  else if (spot) element("details").replaceChildren(...card(track, facts(spot)));
  else element("details").replaceChildren(...card(track, [["Seen", `${clockText(track.t[0])} to ${clockText(track.t.at(-1))}`]]));
}

function showTracks() {
  const key = scene.present.map(spot => [spot.track.id, spot.level]).join() + `|${scene.level}|${scene.selected}`;
  if (key === listed) return;
  listed = key;
  const focused = document.activeElement?.dataset?.track;
  element("count").textContent = `${scene.present.length} of ${DATA.tracks.length}`;
  element("tracks").replaceChildren(...scene.present.map(({ track, level }) => {
    const dot = make("span", { class: "dot" });
    dot.style.background = scene.palette.track(track.id);
    return make("button", {
      type: "button", "data-track": track.id, "aria-pressed": String(track.id === scene.selected),
      class: level === scene.level ? "" : "elsewhere", title: DATA.levels[level].name,
      onclick: () => select(track.id === scene.selected ? null : track.id),
    }, dot, `${track.id} ${track.label}`.trim());
  }));
  if (focused !== undefined) element("tracks").querySelector(`[data-track="${focused}"]`)?.focus();
  if (!scene.present.length) element("tracks").append(make("p", { class: "quiet" }, "None at this time."));
}

function nearest(u, v, reach) {
  let best = null, least = reach;
  for (const spot of scene.present) {
    if (spot.level !== scene.level) continue;
    const [x, y] = view.toScreen(spot.x, spot.y), distance = Math.hypot(x - u, y - v);
    if (distance < least) [best, least] = [spot, distance];
  }
  return best;
}

function cameraAt(u, v) {
  return DATA.cameras.find(camera => camera.levels.includes(scene.level) && camera.xy[0] !== null
    && Math.hypot(view.toScreen(...camera.xy)[0] - u, view.toScreen(...camera.xy)[1] - v) < 10);
}

function hover(u, v, reach) {
  const spot = nearest(u, v, reach), camera = spot ? undefined : cameraAt(u, v), tip = element("tip");
  scene.hover = spot ? spot.track.id : null;
  scene.hoverCamera = camera ? camera.name : null;
  canvas.classList.toggle("over", Boolean(spot || camera));
  tip.hidden = !(spot || camera);
  if (spot) tip.replaceChildren(...card(spot.track, facts(spot)));
  else if (camera) tip.textContent = `Camera ${camera.name}`;
  if (!tip.hidden) {
    tip.style.left = `${Math.max(4, Math.min(u + 16, view.width - tip.offsetWidth - 8))}px`;
    tip.style.top = `${Math.max(4, v + 16 + tip.offsetHeight > view.height ? v - tip.offsetHeight - 12 : v + 16)}px`;
  }
  change();
}

function place(event) {
  const box = canvas.getBoundingClientRect();
  return [event.clientX - box.left, event.clientY - box.top];
}

function pointerDown(event) {
  canvas.setPointerCapture(event.pointerId);
  const [u, v] = place(event);
  pointers.set(event.pointerId, { u, v, u0: u, v0: v, moved: pointers.size > 0 });
  for (const pointer of pointers.values()) if (pointers.size > 1) pointer.moved = true;
}

function pointerMove(event) {
  const [u, v] = place(event), pointer = pointers.get(event.pointerId), reach = REACH_PX[event.pointerType] ?? 14;
  if (!pointer) { if (event.pointerType !== "touch") hover(u, v, reach); return; }
  if (Math.hypot(u - pointer.u0, v - pointer.v0) > CLICK_PX) pointer.moved = true;
  const other = [...pointers.values()].find(one => one !== pointer);
  if (other) {
    const was = Math.hypot(pointer.u - other.u, pointer.v - other.v), is = Math.hypot(u - other.u, v - other.v);
    view.pan((u - pointer.u) / 2, (v - pointer.v) / 2);
    if (was > 1 && is > 1) view.zoom(is / was, (u + other.u) / 2, (v + other.v) / 2);
  } else if (pointer.moved) {
    canvas.classList.add("held");
    element("tip").hidden = true;
    view.pan(u - pointer.u, v - pointer.v);
  }
  [pointer.u, pointer.v] = [u, v];
  change();
}

function pointerUp(event) {
  const pointer = pointers.get(event.pointerId), [u, v] = place(event);
  pointers.delete(event.pointerId);
  canvas.classList.remove("held");
  if (!pointer || pointer.moved || event.type === "pointercancel") return;
  const spot = nearest(u, v, REACH_PX[event.pointerType] ?? 14), camera = cameraAt(u, v);
  if (!spot && camera) return toggleCamera(camera.name);
  select(spot ? spot.track.id : null);
}

function toggleCamera(name, on = !scene.cameras.has(name)) {
  if (on) scene.cameras.add(name); else scene.cameras.delete(name);
  [...element("cameras").querySelectorAll("input")].forEach((box, i) => { box.checked = scene.cameras.has(DATA.cameras[i].name); });
  element("all-cameras").textContent = scene.cameras.size ? "hide all" : "show all";
  change();
}

function mapKey(event) {
  const move = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
  if (move) view.pan(...move);
  else if (event.key === "+" || event.key === "=") view.zoom(1.25);
  else if (event.key === "-") view.zoom(0.8);
  else if (event.key === "0") view.fit();
  else if (event.key === "Escape") select(null);
  else return;
  event.preventDefault();
  change();
}

function check(name, checked, onchange, colour = "") {
  const box = make("input", { type: "checkbox", onchange: () => { onchange(box.checked); change(); } });
  box.checked = checked;
  if (colour) box.style.accentColor = colour;
  return make("label", { title: name }, box, make("span", {}, name));
}

function resize() {
  const { width, height } = element("map").getBoundingClientRect(), ratio = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  view.resize(width, height);
  change();
}

function buildHead() {
  element("title").textContent = DATA.title;
  const parts = [counted(DATA.tracks.length, "track"), counted(DATA.cameras.length, "camera")];
  if (DATA.seconds > 0) parts.push(durationText(DATA.seconds));
  if (DATA.utc) parts.push(new Date(DATA.start * 1000).toISOString().slice(0, 10));
  if (DATA.step) parts.push(`one position every ${DATA.step} s`);
  parts.push(`ellipses hold ${+(100 * DATA.probability).toFixed(2)} %`);
  element("summary").textContent = parts.join(" · ");
  element("levels").hidden = DATA.levels.length < 2;
  DATA.levels.forEach((level, i) => element("levels").append(
    make("button", { type: "button", role: "radio", onclick: () => setLevel(i) }, level.name)));
  element("levels").addEventListener("keydown", event => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    setLevel((scene.level + step + DATA.levels.length) % DATA.levels.length);
    element("levels").children[scene.level].focus();
  });
}

function buildPanel() {
  for (const [name, text] of Object.entries(LAYERS)) {
    element("layers").append(check(text, scene.show[name], on => { scene.show[name] = on; }));
  }
  DATA.markers.forEach(({ name }, i) => {
    const toggle = on => { if (on) scene.series.add(name); else scene.series.delete(name); };
    element("layers").append(check(name, true, toggle, `var(--markers-${i % scene.palette.markers.length})`));
  });
  for (const { name } of DATA.cameras) element("cameras").append(check(name, true, on => toggleCamera(name, on)));
  element("all-cameras").addEventListener("click", () => {
    const on = !scene.cameras.size;
    for (const { name } of DATA.cameras) toggleCamera(name, on);
  });
}

function buildTimeline() {
  const slider = element("time"), still = DATA.seconds <= 0;
  const step = Math.max(0.1, niceStep(Math.max(1, DATA.seconds) / 500));
  slider.step = step;
  slider.max = Math.ceil(DATA.seconds / step) * step;
  for (const part of ["time", "play", "speed", "tail"]) element(part).disabled = still && part !== "tail";
  slider.addEventListener("input", () => { scene.time = Math.min(DATA.seconds, +slider.value); change(); });
  element("play").addEventListener("click", () => setPlaying(!playing));
  for (const value of SPEEDS) element("speed").append(make("option", { value }, `${value} ×`));
  for (const [value, name] of TAILS) element("tail").append(make("option", { value }, name));
  element("speed").value = speed = DATA.seconds > 240 ? 4 : 1;
  element("tail").value = scene.tail;
  element("speed").addEventListener("change", event => { speed = +event.target.value; });
  element("tail").addEventListener("change", event => { scene.tail = +event.target.value; change(); });
}

function start() {
  buildHead();
  buildPanel();
  buildTimeline();
  buildLineage();
  canvas.setAttribute("aria-label", `Map of ${DATA.title}`);
  for (const [name, handler] of Object.entries({
    pointerdown: pointerDown, pointermove: pointerMove, pointerup: pointerUp, pointercancel: pointerUp, keydown: mapKey,
    pointerleave: () => hover(-1e6, -1e6, 0),
  })) canvas.addEventListener(name, handler);
  canvas.addEventListener("wheel", event => {
    event.preventDefault();
    view.zoom(Math.exp(-Math.max(-120, Math.min(120, event.deltaY)) / 400), ...place(event));
    change();
  }, { passive: false });
  element("zoom-in").addEventListener("click", () => { view.zoom(1.5); change(); });
  element("zoom-out").addEventListener("click", () => { view.zoom(1 / 1.5); change(); });
  element("zoom-fit").addEventListener("click", () => { view.fit(); change(); });
  document.addEventListener("keydown", event => {
    if (event.key !== " " || ![document.body, canvas].includes(event.target) || DATA.seconds <= 0) return;
    event.preventDefault();
    setPlaying(!playing);
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { scene.palette = readPalette(); listed = ""; change(); });
  new ResizeObserver(resize).observe(element("map"));
  toggleCamera("", false);
  // the page opens in the middle of the recording, where there is something to see
  scene.time = DATA.seconds / 2;
  setLevel(0);
  setPlaying(false);
  resize();
}

start();
