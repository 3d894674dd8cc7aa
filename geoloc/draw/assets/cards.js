// What is known of the object, stall or camera that was chosen.

const KINDS = { level: "#8cff9a", zone: "#ffd23f", stall: "#4fd8ff", wall: "#ff9de0", grid: "#8cff9a" };  // lines in stills
const LONG_PX = 70;  // of the longest residual as it is drawn

function showDetails() {
  const details = element("details"), track = store.byId.get(scene.selected);
  const spot = track && scene.present.find(spot => spot.track === track);
  details.parentElement.classList.toggle("empty", !track && scene.stall === null && scene.camera === null);
  if (scene.camera !== null) showOnce(`camera ${scene.camera} ${Boolean(alarmNow())}`, () => cameraCard(DATA.cameras.find(c => c.name === scene.camera)));
  else if (scene.stall !== null) showOnce(`stall ${scene.stall} ${stayAt(scene.stall, scene.time)?.track}`, () => stallCard(scene.stall));
  else if (track) showOnce(`track ${scene.selected} ${Math.round(scene.time * 5)} ${store.there.size}`, () => objectCard(track, spot));
  else showOnce("nothing", () => [make("p", { class: "quiet" }, "Click an object, a stall or a camera on the map.")]);
}

function alarmNow() { return alarmOf(DATA.cameras.find(camera => camera.name === scene.camera)); }

// The card is made anew only where something in it is another.
function showOnce(key, makeCard) {
  const details = element("details");
  if (details.dataset.key === key) return;
  details.dataset.key = key;
  details.replaceChildren(...makeCard());
}

function facts(spot) {
  const speed = spot.vx === null ? 0 : Math.hypot(spot.vx, spot.vy);
  const heading = (90 - Math.atan2(spot.vy, spot.vx) * 180 / Math.PI + 360) % 360;
  const sigma = spot.a === null ? null : spot.a / store.factor;
  const rows = [["Level", DATA.levels[spot.level].name], ["Position", `${spot.x.toFixed(2)}, ${spot.y.toFixed(2)} m`]];
  if (DATA.datum) rows.push(["Lat, lon", toGeodetic(DATA.datum, spot.x, spot.y).map(degrees => degrees.toFixed(7)).join(", ")]);
  rows.push(["Sigma", sigma === null ? "not known" : `${sigma.toFixed(2)} m (largest)`]);
  if (spot.vx !== null) rows.push(["Velocity", speed < 0.05 ? "0.0 m/s" : `${speed.toFixed(1)} m/s, heading ${heading.toFixed(0)}°`]);
  const [since, known] = store.since(spot.track, scene.time), what = [spot.life.replaceAll("_", " "), spot.state].filter(Boolean);
  rows.push(["State", [...new Set(what)].join(", ") || "seen"]);
  rows.push(["Since", `${known ? "" : "before "}${clockText(since)}, ${durationText(scene.time - since)}`]);
  return rows;
}

function objectCard(track, spot) {
  const rows = spot ? facts(spot) : [];
  rows.push(["Seen", `${clockText(track.first)} to ${clockText(track.last)}`]);
  if (spot) rows.push(camerasOf(track, spot));
  const parts = card(track, rows), picture = DATA.crops.includes(track.id) && document.getElementById(`crop-${track.id}`);
  if (picture) parts.splice(1, 0, make("img", { class: "crop", alt: `What ${track.id} looks like`, src: picture.textContent }));
  const stays = DATA.stays.filter(stay => stay[1] === track.id);
  if (stays.length) parts.push(fold("Stalls", stays.map(([stall, , start, end]) => told(start, `${stallName(stall)} for ${durationText(end - start)}`))));
  const events = DATA.events.filter(([, kind, number, text]) => kind in IDENTITY && (number === track.id || named(text, track.id)));
  if (events.length) parts.push(fold("Lineage", events.map(([time, , , text]) => told(time, text))));
  const phases = DATA.phases.filter(([number]) => number === track.id);
  if (phases.length) parts.push(fold("What it was", phases.map(([, start, end, life]) => told(start, `${life.replaceAll("_", " ")}, ${durationText(end - start)}`))));
  return parts;
}

function named(text, id) { return new RegExp(`\\b${id}\\b`).test(text.split(":")[0]); }

// Which cameras saw it around now, or, where that was not kept, which could see the place.
function camerasOf(track, spot) {
  let best = null;
  for (const [time, id, cameras] of DATA.sightings) {
    if (id === track.id && (!best || Math.abs(time - scene.time) < Math.abs(best[0] - scene.time))) best = [time, cameras];
  }
  if (best) return ["Seen by", best[1].map(k => DATA.cameras[k].name).join(", ") || "no camera"];
  const names = DATA.cameras.filter(camera => inRings(camera.views[spot.level] ?? [], spot.x, spot.y)).map(camera => camera.name);
  return ["In view of", names.join(", ") || "no camera"];
}

function inRings(rings, x, y) {
  let inside = false;
  for (const ring of rings) {
    for (let i = 0, j = ring.length - 2; i < ring.length; j = i, i += 2) {
      if ((ring[i + 1] > y) !== (ring[j + 1] > y)
        && x < ring[i] + (y - ring[i + 1]) / (ring[j + 1] - ring[i + 1]) * (ring[j] - ring[i])) inside = !inside;
    }
  }
  return inside;
}

function card(track, rows) {
  return [heading(scene.palette.track(track.id), `${track.id}${track.label ? ` ${track.label}` : ""}`), table(rows)];
}

function heading(colour, text) {
  const dot = make("span", { class: "dot" });
  dot.style.background = colour;
  return make("div", { class: "name" }, dot, make("span", {}, text));
}

function table(rows) {
  const list = make("dl");
  for (const [name, value] of rows) list.append(make("dt", {}, name), make("dd", {}, value));
  return list;
}

function told(time, text) {
  return make("li", {}, make("button", { type: "button", class: "told-line", onclick: () => goTo(time) }, make("time", {}, clockText(time).slice(0, 8)), text));
}

function fold(title, items) { return make("details", { open: "" }, make("summary", {}, title), make("ol", { class: "rows" }, ...items)); }

function stallCard(index) {
  const stay = stayAt(index, scene.time), rows = [["Level", DATA.levels[DATA.stalls[index][0]].name]];
  rows.push(["Now", stay ? `${stay.track}, since ${clockText(stay.start).slice(0, 8)} (${durationText(scene.time - stay.start)})` : "free"]);
  const taken = takenSeconds(index, 0, DATA.seconds);
  if (DATA.seconds > 0) rows.push(["Taken", `${(100 * taken / DATA.seconds).toFixed(0)} % of the time, by ${counted(new Set(STAYS[index].map(s => s.track)).size, "object")}`]);
  const parts = [heading(stay ? scene.palette.taken : scene.palette.free, `Stall ${stallName(index)}`), table(rows), stallBar(index)];
  const items = STAYS[index].map(one => {
    const item = told(one.start, `${one.track} for ${durationText(one.end - one.start)}`);
    item.firstChild.addEventListener("click", () => select(one.track));
    return item;
  });
  parts.push(items.length ? fold("History", items) : make("p", { class: "quiet" }, "Nobody stood here."));
  return parts;
}

// When it was taken, over the whole time.
function stallBar(index) {
  const strip = make("div", { class: "stays" });
  for (const { track, start, end } of STAYS[index]) {
    const part = make("i", { title: `${track}: ${clockText(start)} to ${clockText(end)}` });
    part.style.left = `${100 * start / DATA.seconds}%`;
    part.style.width = `${Math.max(0.4, 100 * (end - start) / DATA.seconds)}%`;
    part.style.background = scene.palette.track(track);
    strip.append(part);
  }
  return strip;
}

function cameraCard(camera) {
  const alarm = alarmOf(camera), rows = [["Health", alarm ? `${alarm[2]} since ${clockText(alarm[0]).slice(0, 8)}` : "no alarm now"]];
  if (alarm?.[3]) rows.push(["Why", alarm[3]]);
  rows.push(["Image", `${camera.size[0]} × ${camera.size[1]} px${camera.known ? "" : ", known by a homography"}`]);
  for (const { level, area, share, sigma, worst } of camera.sight) {
    const part = share === null ? "" : ` (${(100 * share).toFixed(0)} %)`;
    rows.push([`Sees of ${DATA.levels[level].name}`, `${area.toFixed(0)} m²${part}`]);
    if (sigma !== null) rows.push(["Ground sigma", `${(100 * sigma).toFixed(1)} cm, worst tenth ${(100 * worst).toFixed(1)} cm`]);
  }
  const off = camera.marks.map(([, , , du, dv]) => Math.hypot(du, dv));
  rows.push(["Residuals", off.length ? `${Math.hypot(...off.map(o => o / Math.sqrt(off.length))).toFixed(2)} px rms of ${counted(off.length, "mark")}, worst ${Math.max(...off).toFixed(2)} px` : "no marks here"]);
  const parts = [heading(alarm ? scene.palette.alarm : scene.palette.camera, `Camera ${camera.name}`), table(rows)];
  if (camera.lines.length || DATA.stills.includes(camera.name)) parts.splice(1, 0, stillPicture(camera));
  if (camera.alarms.length) parts.push(fold("Alarms", camera.alarms.map(([start, end, kind, why]) => told(start, `${kind} for ${durationText(end - start)}${why ? `: ${why}` : ""}`))));
  return parts;
}

// The still, or black where there is none, with the map's lines and the residuals of marks over it.
function stillPicture(camera) {
  const SVG = "http://www.w3.org/2000/svg", [width, height] = camera.size, unit = width / 480;
  const svg = document.createElementNS(SVG, "svg"), add = (tag, attributes) => {
    const node = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    svg.append(node);
    return node;
  };
  svg.setAttribute("viewBox", `-0.5 -0.5 ${width} ${height}`);
  svg.setAttribute("class", "still");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", `What ${camera.name} sees, with the map's lines`);
  const index = DATA.stills.indexOf(camera.name);
  if (index >= 0) add("image", { x: -0.5, y: -0.5, width, height, href: document.getElementById(`still-${index}`).textContent });
  for (const [kind, flat] of camera.lines) {
    add("polyline", { points: flat.join(" "), fill: "none", stroke: KINDS[kind] ?? "#fff", "stroke-width": 1.1 * unit, "stroke-opacity": 0.8 });
  }
  const longest = Math.max(...camera.marks.map(([, , , du, dv]) => Math.hypot(du, dv)), 1e-6), times = Math.max(1, niceStep(LONG_PX * unit / longest));
  for (const [name, u, v, du, dv] of camera.marks) {
    add("line", { x1: u, y1: v, x2: u + times * du, y2: v + times * dv, stroke: "#fff", "stroke-width": 1.6 * unit });
    add("circle", { cx: u, cy: v, r: 4 * unit, fill: "none", stroke: "#fff", "stroke-width": 1.4 * unit }).append(
      Object.assign(document.createElementNS(SVG, "title"), { textContent: `${name}: ${Math.hypot(du, dv).toFixed(2)} px` }));
  }
  const note = camera.marks.length ? [make("p", { class: "quiet small" }, `residuals drawn ${times} times as long`)] : [];
  return make("figure", {}, svg, ...note);
}
