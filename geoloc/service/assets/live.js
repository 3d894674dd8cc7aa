"use strict";
// The live map: what the service tells is drawn as it comes; nothing is kept but the last few seconds.

const TAIL_S = 8, LATE_S = 3, KEEP_EVENTS = 60, RETRY_MS = 1000;
const LAYERS = { ellipses: "Error ellipses", ids: "Object ids", footprints: "What cameras see", names: "Camera names" };
const element = id => document.getElementById(id);
const canvas = element("canvas"), context = canvas.getContext("2d");
let DATA = null, view = null, socket = null, tried = 0, drawn = false, heardAt = 0;
const taken = new Map();  // stalls of each level that somebody is in
const events = new Map();  // by their ids: told again, an event is another
const alarms = new Map();  // of cameras by their names: what is wrong, and what was said of it
const scene = {
  level: 0, palette: readPalette(), show: { ellipses: true, ids: true, footprints: false, names: false }, present: [],
  time: 0, tail: TAIL_S, cameras: new Set(), series: new Set(), hoverCamera: null, hover: null, selected: null,
  wayOf: (track, begin) => wayOf(track, begin), under: () => paintTaken(),
};
const known = new Map();  // tracks by id, with the rows of the last few seconds

// ---- coming in

function token() {
  const given = new URLSearchParams(location.hash.slice(1));
  if (given.get("token")) {
    sessionStorage.setItem("token", given.get("token"));
    if (given.get("site")) sessionStorage.setItem("site", given.get("site"));
    history.replaceState(null, "", location.pathname);  // neither shown nor kept by the browser
  }
  return sessionStorage.getItem("token");
}

async function open_() {
  const secret = token();
  element("door").hidden = Boolean(secret);
  if (!secret) { element("token").focus(); return; }
  try {
    const answer = await fetch("v1/sites", { headers: { Authorization: `Bearer ${secret}` }, cache: "no-store" });
    if (answer.status === 401 || answer.status === 403) { refuse("This token is not known, or may not read."); return; }
    const { sites } = await answer.json();
    if (!sites?.length) { refuse("This token may read no site."); return; }
    const wanted = sessionStorage.getItem("site"), name = sites.includes(wanted) ? wanted : sites[0];
    listSites(sites, name);
    listen(name, secret);
  } catch { again(); }
}

function refuse(why) {
  sessionStorage.removeItem("token");
  element("door").hidden = false;
  element("refused").textContent = why;
}

function listSites(sites, name) {
  const list = element("sites");
  list.replaceChildren(...sites.map(site => new Option(site, site, false, site === name)));
  list.hidden = sites.length < 2;
}

function listen(site, secret) {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  socket = new WebSocket(`${scheme}://${location.host}/v1/sites/${encodeURIComponent(site)}/live`);
  const mine = socket;
  socket.onopen = () => mine.send(JSON.stringify({ token: secret }));
  socket.onmessage = message => hear(JSON.parse(message.data));
  socket.onclose = event => {
    if (mine !== socket) return;
    if (event.code === 4401 || event.code === 4403) refuse("This token is not known, or may not read here.");
    else again();
  };
}

function again() {
  state("lost", "connection lost, trying again");
  setTimeout(open_, Math.min(RETRY_MS * 1.5 ** tried++, 15000));
}

// ---- what is told

function hear(said) {
  if (said.type === "site") begin(said);
  if (said.type === "positions") place(said);
  if (said.type === "stalls") fillStalls(said);
  if (said.type === "events") {
    said.events.forEach(note);
    showEvents();
    showAlarms();
  }
  if (said.type === "cameras") {
    alarms.clear();
    said.cameras.forEach(recall);
    showAlarms();
  }
  change();
}

function begin(said) {
  const same = DATA?.name === said.name;
  DATA = { ...said, markers: [], start: 0, utc: true };
  if (!same) { known.clear(); events.clear(); taken.clear(); alarms.clear(); scene.level = 0; scene.selected = null; view = new View(DATA.box); }
  tried = 0;
  scene.cameras = new Set(DATA.cameras.map(camera => camera.name));
  element("title").textContent = DATA.name;
  document.title = `${DATA.name} live`;
  showLevels();
  resize();
}

function place(said) {
  heardAt = Date.now();
  tellLink();
  if (said.time !== null && said.time < scene.time) known.clear();  // the state was begun anew
  if (said.time !== null) scene.time = said.time;
  const levels = DATA.levels.map(level => level.name);
  scene.present = said.objects.map(one => {
    const track = known.get(one.id) ?? { id: one.id, label: one.label, t: [], x: [], y: [], level: [] };
    known.set(one.id, track);
    const level = levels.indexOf(one.level), ellipse = halfAxes(one.cov);
    remember(track, said.time, one, level);
    return { track, level, x: one.x, y: one.y, vx: one.vx, vy: one.vy, state: one.state,
      life: one.life, ...ellipse, said: one };
  });
  const there = new Set(said.objects.map(one => one.id));
  for (const id of known.keys()) if (!there.has(id)) known.delete(id);
  showObjects();
  showDetails();
}

// A row more of a track, and those before the tail forgotten.
function remember(track, time, { x, y, label }, level) {
  if (track.t.length && track.t.at(-1) >= time) return;
  track.label = label;
  const row = { t: time, x, y, level };
  for (const [name, value] of Object.entries(row)) track[name].push(value);
  const old = track.t.findIndex(t => t >= time - 1.5 * TAIL_S);
  if (old < 20) return;
  for (const name of Object.keys(row)) track[name].splice(0, old);
}

// The way of a track from `begin` on: [t, x, y, level, cut] of each row.
function wayOf({ t, x, y, level }, begin) {
  const first = Math.max(0, lastAt(t, begin));
  return t.slice(first).map((time, i) => [time, x[first + i], y[first + i], level[first + i], 0]);
}

// Half axes (m) and angle (rad) of the ellipse that holds DATA.probability: of the covariance xx, xy, yy.
function halfAxes([xx, xy, yy]) {
  if (xx === null) return { a: null, b: null, angle: 0 };
  const scale = -2 * Math.log(1 - DATA.probability), middle = (xx + yy) / 2, off = Math.hypot((xx - yy) / 2, xy);
  const axis = value => Math.sqrt(Math.max(value, 0) * scale);
  return { a: axis(middle + off), b: axis(middle - off), angle: Math.atan2(2 * xy, xx - yy) / 2 };
}

function fillStalls(said) {
  taken.clear();
  for (const [level, name, object] of said.taken) taken.set(`${level}\n${name}`, object);
  const unsure = said.unsure ? `, ${said.unsure} seen by no camera` : "";
  element("stalls").textContent = said.stalls ? `${said.taken.length} of ${counted(said.stalls, "stall")} taken${unsure}` : "";
}

const RAISES = { camera_silent: "silent", clock_off: "clock", camera_moved: "moved" };
const CLEARS = { camera_back: "silent", clock_right: "clock" };
const ALARM_TEXT = { silent: "is silent", clock: "its clock is off", moved: "has moved" };

function alarm(camera, what, text) {
  const mine = alarms.get(camera) ?? new Map();
  if (text) mine.set(what, text);
  else mine.delete(what);
  if (mine.size) alarms.set(camera, mine);
  else alarms.delete(camera);
}

function recall({ camera, state, clock_off: clock, moved }) {
  const wrong = { silent: state === "silent", clock, moved };
  for (const [what, is] of Object.entries(wrong)) alarm(camera, what, is ? ALARM_TEXT[what] : "");
}

function note(event) {
  const camera = event.number === 0 ? event.cameras[0] : undefined;
  const why = event.why ? `: ${event.why}` : "";
  if (camera && RAISES[event.kind]) alarm(camera, RAISES[event.kind], ALARM_TEXT[RAISES[event.kind]] + why);
  if (camera && CLEARS[event.kind]) alarm(camera, CLEARS[event.kind], "");
  if (event.kind === "withdrawn") { events.delete(event.id); return; }
  events.set(event.id, event);
  while (events.size > KEEP_EVENTS) events.delete(events.keys().next().value);
}

// ---- what is shown

function paintTaken() {
  const level = DATA.levels[scene.level];
  for (const [name, rings] of level.stalls) {
    if (taken.has(`${level.name}\n${name}`)) fill(context, path(view, rings), scene.palette.accent, 0.2);
  }
}

function draw() {
  drawn = false;
  if (!DATA) return;
  const ratio = devicePixelRatio || 1;
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  paint(context, view, scene);
}

function change() {
  if (!drawn) { drawn = true; requestAnimationFrame(draw); }
}

function resize() {
  if (!view) return;
  const box = element("map").getBoundingClientRect(), ratio = devicePixelRatio || 1;
  canvas.width = Math.round(box.width * ratio);
  canvas.height = Math.round(box.height * ratio);
  view.resize(box.width, box.height);
  change();
}

function state(kind, text) {
  element("link").dataset.state = kind;
  element("link").textContent = text;
}

function tellLink() {
  if (socket?.readyState !== WebSocket.OPEN || !heardAt) return;
  const late = Date.now() - heardAt > 1000 * LATE_S;
  state(late ? "late" : "live", late ? `nothing new for ${durationText((Date.now() - heardAt) / 1000)}` : "live");
}

function showLevels() {
  const buttons = DATA.levels.map((level, k) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = level.name;
    button.setAttribute("role", "radio");
    button.setAttribute("aria-checked", String(k === scene.level));
    button.onclick = () => { scene.level = k; showLevels(); change(); };
    return button;
  });
  element("levels").replaceChildren(...buttons);
  element("levels").hidden = buttons.length < 2;
}

function showObjects() {
  const list = element("objects"), have = new Map([...list.children].map(button => [button.dataset.id, button]));
  const buttons = scene.present.map(({ track, level }) => {
    const button = have.get(String(track.id)) ?? objectButton(track);
    button.classList.toggle("elsewhere", level !== scene.level);
    button.setAttribute("aria-pressed", String(track.id === scene.selected));
    return button;
  });
  if (buttons.length !== list.children.length || buttons.some((button, k) => list.children[k] !== button)) {
    list.replaceChildren(...buttons);
  }
  element("count").textContent = scene.present.length;
  element("clock").textContent = scene.time ? clockText(scene.time) : "";
}

function objectButton(track) {
  const button = document.createElement("button"), dot = document.createElement("span");
  dot.className = "dot";
  dot.style.background = scene.palette.track(track.id);
  button.type = "button";
  button.dataset.id = String(track.id);
  button.append(dot, `${track.id} ${track.label}`);
  button.onclick = () => select(scene.selected === track.id ? null : track.id);
  return button;
}

function select(id) {
  scene.selected = id;
  const spot = scene.present.find(one => one.track.id === id);
  if (spot && spot.level >= 0 && spot.level !== scene.level) { scene.level = spot.level; showLevels(); }
  showObjects();
  showDetails();
  change();
}

function showDetails() {
  const spot = scene.present.find(one => one.track.id === scene.selected), details = element("details");
  if (!spot) {
    const quiet = document.createElement("p");
    quiet.className = "quiet";
    quiet.textContent = scene.selected === null ? "Click an object." : `${scene.selected} is not there any more.`;
    details.replaceChildren(quiet);
    return;
  }
  const one = spot.said, sigma = spot.a === null ? "?" : (spot.a / Math.sqrt(-2 * Math.log(1 - DATA.probability))).toFixed(2);
  const rows = {
    Object: `${one.id} ${one.label}`, Level: one.level, Position: `${one.x?.toFixed(2)}, ${one.y?.toFixed(2)} m`,
    Sigma: `${sigma} m`, Speed: `${Math.hypot(one.vx, one.vy).toFixed(1)} m/s`, Life: one.life || one.state,
    Probability: one.score?.toFixed(3),
  };
  const list = document.createElement("dl");
  for (const [name, value] of Object.entries(rows)) {
    const term = document.createElement("dt"), text = document.createElement("dd");
    term.textContent = name;
    text.textContent = value;
    list.append(term, text);
  }
  details.replaceChildren(list);
}

function showAlarms() {
  const items = [...alarms].sort().map(([camera, mine]) => {
    const item = document.createElement("li"), name = document.createElement("strong");
    name.textContent = camera;
    item.append(name, ` ${[...mine.values()].join("; ")}`);
    return item;
  });
  element("alarms").replaceChildren(...items);
  element("alarm").hidden = !items.length;
}

function showEvents() {
  const items = [...events.values()].reverse().map(event => {
    const item = document.createElement("li"), time = document.createElement("time");
    time.textContent = clockText(event.time).slice(0, 8);
    item.classList.toggle("warns", event.kind in RAISES);
    item.append(time, event.told);
    return item;
  });
  element("events").replaceChildren(...items);
}

// ---- what is done to it

function spotAt(u, v) {
  const near = scene.present.filter(one => one.level === scene.level).map(one => {
    const [x, y] = view.toScreen(one.x, one.y);
    return [Math.hypot(x - u, y - v), one.track.id];
  });
  near.sort((a, b) => a[0] - b[0]);
  return near.length && near[0][0] < 16 ? near[0][1] : null;
}

let held = null;
canvas.onpointerdown = event => { held = [event.offsetX, event.offsetY, 0]; canvas.setPointerCapture(event.pointerId); };
canvas.onpointermove = event => {
  if (!view) return;
  if (!held) { scene.hover = spotAt(event.offsetX, event.offsetY); change(); return; }
  const du = event.offsetX - held[0], dv = event.offsetY - held[1];
  view.pan(du, dv);
  held = [event.offsetX, event.offsetY, held[2] + Math.hypot(du, dv)];
  change();
};
canvas.onpointerup = event => {
  if (held && held[2] < 4 && view) select(spotAt(event.offsetX, event.offsetY));
  held = null;
};
canvas.addEventListener("wheel", event => {
  event.preventDefault();
  view?.zoom(1.0015 ** -event.deltaY, event.offsetX, event.offsetY);
  change();
}, { passive: false });
canvas.onkeydown = event => {
  const moves = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] };
  if (!view) return;
  if (moves[event.key]) view.pan(...moves[event.key]);
  else if (event.key === "+") view.zoom(1.3);
  else if (event.key === "-") view.zoom(1 / 1.3);
  else if (event.key === "0") view.fit();
  else return;
  event.preventDefault();
  change();
};
element("zoom-in").onclick = () => { view?.zoom(1.3); change(); };
element("zoom-out").onclick = () => { view?.zoom(1 / 1.3); change(); };
element("zoom-fit").onclick = () => { view?.fit(); change(); };
element("sites").onchange = event => {
  sessionStorage.setItem("site", event.target.value);
  const before = socket;
  socket = null;
  before?.close();
  open_();
};
element("door").onsubmit = event => {
  event.preventDefault();
  sessionStorage.setItem("token", element("token").value);
  element("token").value = element("refused").textContent = "";
  open_();
};
for (const [name, text] of Object.entries(LAYERS)) {
  const label = document.createElement("label"), box = document.createElement("input"), words_ = document.createElement("span");
  box.type = "checkbox";
  box.checked = scene.show[name];
  box.onchange = () => { scene.show[name] = box.checked; change(); };
  words_.textContent = text;
  label.append(box, words_);
  element("layers").append(label);
}
setInterval(tellLink, 500);
new ResizeObserver(resize).observe(element("map"));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { scene.palette = readPalette(); change(); });
showDetails();
open_();
