// Mouse, touch and keys.

const CLICK_PX = 6, REACH_PX = { mouse: 14, pen: 18, touch: 26 };
const KEYS = [
  ["Space", "play, pause"], [", .", "a second back, on"], ["[ ]", "event before, after"], ["< >", "slower, faster"],
  ["1 to 9", "a level"], ["/", "search"], ["+ −", "zoom"], ["0", "all of it"], ["arrows", "move the map"],
  ["e f n i", "ellipses, footprints, camera names, ids"], ["h", "next heat map"], ["s", "next colouring of stalls"], ["d", "dark, light"],
  ["Esc", "nothing selected"], ["?", "this list"],
];
const pointers = new Map();

function nearest(u, v, reach) {
  let best = null, least = reach;
  for (const spot of scene.present) {
    if (spot.level !== scene.level) continue;
    const [x, y] = view.toScreen(spot.x, spot.y), distance = Math.hypot(x - u, y - v);
    if (distance < least) [best, least] = [spot, distance];
  }
  return best;
}

function cameraAt(u, v, reach = 10) {
  return DATA.cameras.find(camera => camera.levels.includes(scene.level) && camera.xy[0] !== null
    && Math.hypot(view.toScreen(...camera.xy)[0] - u, view.toScreen(...camera.xy)[1] - v) < reach);
}

function stallAt(u, v) {
  const [x, y] = view.toGround(u, v);
  return STALL_OF[scene.level].find(index => inRings(stallShape(index)[1], x, y)) ?? null;
}

// An object on which the pointer is; else a camera, or the stall that is nearer than an object at the reach's edge.
function thingAt(u, v, reach) {
  const spot = nearest(u, v, reach / 2), camera = cameraAt(u, v, Math.max(10, reach / 2));
  if (spot) return { spot };
  if (camera) return { camera };
  const near = nearest(u, v, reach), stall = stallAt(u, v);
  if (near && (stall === null || !isStill(near))) return { spot: near };
  return stall === null ? {} : { stall };
}

function hover(u, v, reach) {
  const { spot, camera, stall } = thingAt(u, v, reach), tip = element("tip");
  scene.hover = spot ? spot.track.id : null;
  scene.hoverCamera = camera ? camera.name : null;
  canvas.classList.toggle("over", Boolean(spot || camera || stall !== undefined));
  tip.hidden = !(spot || camera || stall !== undefined);
  if (spot) tip.replaceChildren(...card(spot.track, facts(spot)));
  else if (camera) tip.textContent = `Camera ${camera.name}${alarmOf(camera) ? `: ${alarmOf(camera)[2]}` : ""}`;
  else if (stall !== undefined) tip.textContent = `Stall ${stallName(stall)}${stayAt(stall, scene.time) ? `: ${stayAt(stall, scene.time).track}` : ""}`;
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
  const { spot, camera, stall } = thingAt(u, v, REACH_PX[event.pointerType] ?? 14);
  if (camera) chooseCamera(camera.name);
  else if (stall !== undefined) chooseStall(stall);
  else select(spot ? spot.track.id : null);
}

function mapKey(event) {
  const move = { ArrowLeft: [60, 0], ArrowRight: [-60, 0], ArrowUp: [0, 60], ArrowDown: [0, -60] }[event.key];
  if (!move) return;
  event.preventDefault();
  view.pan(...move);
  change();
}

function next(names, now, step = 1) { return names[(names.indexOf(now) + step + names.length) % names.length]; }

const ACTIONS = {
  " ": () => setPlaying(!playing), ",": () => goTo(scene.time - 1), ".": () => goTo(scene.time + 1),
  "[": () => jump(-1), "]": () => jump(1),
  "<": () => setSpeed(SPEEDS[Math.max(0, SPEEDS.indexOf(speed) - 1)]),
  ">": () => setSpeed(SPEEDS[Math.min(SPEEDS.length - 1, SPEEDS.indexOf(speed) + 1)]),
  "/": () => element("search").focus(), "+": () => view.zoom(1.25), "=": () => view.zoom(1.25), "-": () => view.zoom(0.8),
  0: () => view.fit(), e: () => toggleLayer("ellipses"), f: () => toggleLayer("footprints"),
  n: () => toggleLayer("names"), i: () => toggleLayer("ids"),
  h: () => setHeat(next(["none", ...DATA.heat[scene.level].map(heat => heat.name)], scene.heatName)),
  s: () => { if (!element("stalls")) return; scene.stalls = next(Object.keys(STALLS), scene.stalls); element("stalls").value = scene.stalls; },
  d: () => toggleTheme(), "?": () => toggleHelp(), Escape: () => { if (element("help").open) element("help").close(); else select(null); },
};

function pageKey(event) {
  const typing = event.target.closest?.("select, textarea, input:not([type=range]):not([type=checkbox])");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === " " && ![document.body, canvas].includes(event.target)) return;  // it presses the button
  const level = /^[1-9]$/.test(event.key) && +event.key <= DATA.levels.length;
  const action = level ? () => setLevel(+event.key - 1) : ACTIONS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
  change();
}

function toggleLayer(name) {
  scene.show[name] = !scene.show[name];
  element("layers").querySelectorAll("input")[Object.keys(LAYERS).indexOf(name)].checked = scene.show[name];
}

function isDark() {
  const theme = document.documentElement.dataset.theme;
  return theme ? theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function toggleTheme() {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  recolour();
}

function recolour() {
  scene.palette = readPalette();
  element("details").dataset.key = "";
  drawActivity();
  change();
}

function toggleHelp() {
  if (element("help").open) element("help").close(); else element("help").showModal();
}

function buildInput() {
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
  element("theme").addEventListener("click", toggleTheme);
  element("open-help").addEventListener("click", toggleHelp);
  element("help").addEventListener("click", event => { if (event.target === element("help")) element("help").close(); });
  element("keys-table").append(...KEYS.flatMap(([key, what]) => [make("dt", {}, make("kbd", {}, key)), make("dd", {}, what)]));
  document.addEventListener("keydown", pageKey);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", recolour);
}
