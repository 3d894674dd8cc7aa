// The lists beside the map: objects, events, cameras, layers, one of them at a time; and the search.

const IDENTITY = { born: "new", recognised: "recognised", merged: "merged", split: "split", exchanged: "exchanged", undone: "taken back", gone: "left" };
const EVENTS = { all: "all", identity: "identities", parks: "stalls", level: "levels", alarm: "cameras" };
const TABS = { tracks: "Objects", events: "Events", cameras: "Cameras", layers: "Layers" };
const LAYERS = { footprints: "Camera views", ellipses: "Error ellipses", ids: "Object ids", names: "Camera names" };
const MOST_LISTED = 120;
let listed = "", eventKind = "all", listedKind = "", ofKind = [], following = -1;

function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

function showTab(name) {
  for (const tab of element("tabs").children) {
    tab.setAttribute("aria-selected", String(tab.dataset.tab === name));
    tab.tabIndex = tab.dataset.tab === name ? 0 : -1;
  }
  for (const key of Object.keys(TABS)) element(`tab-${key}`).hidden = key !== name;
  if (name === "events") showEvents(true);  // a list that is not shown cannot be scrolled
}

function buildTabs() {
  for (const [key, text] of Object.entries(TABS)) {
    element("tabs").append(make("button", { type: "button", role: "tab", "data-tab": key, id: `open-${key}`, "aria-controls": `tab-${key}`, onclick: () => showTab(key) }, text));
  }
  element("tabs").addEventListener("keydown", event => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key], names = Object.keys(TABS);
    if (!step) return;
    const next = names[(names.indexOf(event.target.dataset.tab) + step + names.length) % names.length];
    showTab(next);
    element(`open-${next}`).focus();
  });
  showTab("tracks");
}

function showTracks() {
  const key = scene.present.map(spot => [spot.track.id, spot.level]).join() + `|${scene.level}|${scene.selected}|${scene.palette.ground}`;
  if (key === listed) return;
  listed = key;
  const focused = document.activeElement?.dataset?.track;
  element("count").textContent = `${scene.present.length} of ${DATA.tracks.length}`;
  const shown = scene.present.length > MOST_LISTED ? scene.present.filter(spot => !isStill(spot)).slice(0, MOST_LISTED) : scene.present;
  const buttons = shown.map(({ track, level }) => {
    const dot = make("span", { class: "dot" });
    dot.style.background = scene.palette.track(track.id);
    return make("button", {
      type: "button", "data-track": track.id, "aria-pressed": String(track.id === scene.selected),
      class: level === scene.level ? "" : "elsewhere", title: DATA.levels[level].name,
      onclick: () => select(track.id === scene.selected ? null : track.id),
    }, dot, `${track.id} ${track.label}`.trim());
  });
  const rest = scene.present.length - shown.length;
  if (rest) buttons.push(make("p", { class: "quiet" }, `${rest} more that stand still or are not listed: search for their id.`));
  if (!scene.present.length) buttons.push(make("p", { class: "quiet" }, store.has(scene.time) ? "None at this time." : "Reading ..."));
  element("tracks").replaceChildren(...buttons);
  if (focused !== undefined) element("tracks").querySelector(`[data-track="${focused}"]`)?.focus();
}

function isKind([, kind]) {
  if (eventKind === "all") return kind !== "born" || DATA.events.length < 400;
  if (eventKind === "identity") return kind in IDENTITY;
  return kind === eventKind || (eventKind === "parks" && kind === "leaves");
}

// Events of the kind that is chosen; kept, as there may be many.
function shownEvents() {
  if (listedKind !== eventKind) [listedKind, ofKind] = [eventKind, DATA.events.filter(isKind)];
  return ofKind;
}

// Events around the time shown; the one that was last is marked.
function showEvents(force = false) {
  const events = shownEvents(), last = events.findLastIndex(([time]) => time <= scene.time + 0.005);
  if (last === following && !force) return;
  following = last;
  const from = Math.max(0, last - 40), part = events.slice(from, from + 90);
  const items = part.map(([time, kind, track, text], i) => {
    const item = told(time, text);
    item.className = kind === "alarm" ? "alarm" : "";
    if (from + i === last) item.setAttribute("aria-current", "true");
    if (track >= 0) item.firstChild.addEventListener("click", () => select(track));
    return item;
  });
  if (!items.length) items.push(make("li", { class: "quiet" }, "Nothing of this kind happened."));
  element("events").replaceChildren(...items);
  const current = element("events").querySelector("[aria-current]");
  if (current) element("events").scrollTop = current.offsetTop - element("events").clientHeight / 2;
}

// To the next event after now, or the one before.
function jump(step) {
  const events = shownEvents().filter(([time]) => (step > 0 ? time > scene.time + 0.05 : time < scene.time - 0.05));
  const event = step > 0 ? events[0] : events.at(-1);
  if (!event) return;
  goTo(event[0]);
  if (event[2] >= 0) select(event[2]);
}

function showCameras() {
  for (const [k, row] of [...element("cameras").children].entries()) {
    row.classList.toggle("alarm", Boolean(alarmOf(DATA.cameras[k])));
  }
  const n = DATA.cameras.filter(alarmOf).length;
  element("open-cameras").textContent = n ? `${TABS.cameras} !` : TABS.cameras;
  element("open-cameras").classList.toggle("alarm", n > 0);
}

function toggleCamera(name, on = !scene.cameras.has(name)) {
  if (on) scene.cameras.add(name); else scene.cameras.delete(name);
  [...element("cameras").querySelectorAll("input")].forEach((box, i) => { box.checked = scene.cameras.has(DATA.cameras[i].name); });
  element("all-cameras").textContent = scene.cameras.size ? "hide all" : "show all";
  change();
}

function check(name, checked, onchange, colour = "") {
  const box = make("input", { type: "checkbox", onchange: () => { onchange(box.checked); change(); } });
  box.checked = checked;
  if (colour) box.style.accentColor = colour;
  return make("label", { title: name }, box, make("span", {}, name));
}

function choose(title, id, names, value, onchange) {
  const list = make("select", { id, onchange: () => { onchange(list.value); change(); } });
  for (const [key, text] of Object.entries(names)) list.append(make("option", { value: key }, text));
  list.value = value;
  return make("label", { class: "row" }, title, list);
}

function buildLists() {
  for (const [name, text] of Object.entries(LAYERS)) {
    element("layers").append(check(text, scene.show[name], on => { scene.show[name] = on; }));
  }
  DATA.markers.forEach(({ name }, i) => {
    const toggle = on => { if (on) scene.series.add(name); else scene.series.delete(name); };
    element("layers").append(check(name, true, toggle, `var(--markers-${i % scene.palette.markers.length})`));
  });
  const there = new Set(DATA.heat.flat().map(heat => heat.name)), heat = Object.entries(HEAT).filter(([name]) => name === "none" || there.has(name));
  element("choices").append(choose("Heat map", "heat", Object.fromEntries(heat), "none", setHeat));
  if (DATA.stalls.length) element("choices").append(choose("Stalls", "stalls", STALLS, scene.stalls, value => { scene.stalls = value; }));
  for (const camera of DATA.cameras) {
    const row = check(camera.name, true, on => toggleCamera(camera.name, on));
    row.append(make("button", { type: "button", class: "link", "data-camera": camera.name, onclick: event => { event.preventDefault(); chooseCamera(camera.name); } }, "more"));
    element("cameras").append(row);
  }
  element("all-cameras").addEventListener("click", () => {
    const on = !scene.cameras.size;
    for (const { name } of DATA.cameras) toggleCamera(name, on);
  });
  element("kinds").append(choose("Show", "kind", EVENTS, "all", value => { eventKind = value; showEvents(true); drawActivity(); }));
}

function setHeat(name) {
  scene.heatName = name;
  scene.stillKey = name;
  element("heat").value = name;
}

// An id, a stall's or a camera's name; of ids also those that begin so.
function buildSearch() {
  const names = [...DATA.tracks.map(([id, label]) => [String(id), label, () => find(id)]),
    ...DATA.stalls.map((_, k) => [stallName(k), "stall", () => chooseStall(k)]),
    ...DATA.cameras.map(camera => [camera.name, "camera", () => chooseCamera(camera.name)])];
  const matches = text => {
    const wanted = text.trim().toLowerCase(), starts = names.filter(([name]) => name.toLowerCase().startsWith(wanted));
    return wanted ? starts.sort((a, b) => a[0].length - b[0].length).slice(0, 8) : [];
  };
  const box = element("search"), list = element("found"), close = () => { list.hidden = true; box.setAttribute("aria-expanded", "false"); };
  box.addEventListener("input", () => {
    const found = matches(box.value);
    list.hidden = !box.value.trim();
    box.setAttribute("aria-expanded", String(!list.hidden));
    list.replaceChildren(...found.map(([name, kind, open]) => make("button", { type: "button", onclick: () => { open(); close(); } }, make("b", {}, name), ` ${kind}`)));
    if (!found.length) list.append(make("p", { class: "quiet" }, "Nothing is called so."));
  });
  element("find").addEventListener("submit", event => { event.preventDefault(); matches(box.value)[0]?.[2](); close(); box.blur(); });
  box.addEventListener("keydown", event => { if (event.key === "Escape") { close(); canvas.focus(); } });
}

// Choose an object, at a time when it is there, and bring it into view.
async function find(id) {
  const track = store.byId.get(id);
  if (scene.time < track.first || scene.time > track.last) goTo(track.first);
  await store.load(store.chunkAt(scene.time));
  scene.present = store.at(scene.time);
  select(id);
  const spot = scene.present.find(one => one.track === track);
  if (spot) showPlace(spot.x, spot.y);
}
