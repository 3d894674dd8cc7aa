// Drawing: everything that appears on the canvas. `scene` is what page.js wants shown.

const RINGS = "evenodd";
const MARKER_SECONDS = 10;  // a point of another source fades within so long
const CROWDED = 0.3;  // a name that covers others by more than this share of itself is left out

function readPalette() {
  const style = getComputedStyle(document.documentElement);
  const colour = name => style.getPropertyValue(`--${name}`).trim();
  const cycle = name => {
    const found = [];
    while (colour(`${name}-${found.length}`)) found.push(colour(`${name}-${found.length}`));
    return found;
  };
  const names = ["ground", "outside", "ink", "muted", "grid", "edge", "stall", "wall", "pillar", "camera", "footprint",
    "control", "accent", "panel"];
  const palette = Object.fromEntries(names.map(name => [name, colour(name)]));
  for (const name of ["zones", "markers", "tracks"]) palette[name] = cycle(name);
  palette.track = id => palette.tracks[((id % palette.tracks.length) + palette.tracks.length) % palette.tracks.length];
  return palette;
}

function paint(context, view, scene) {
  const level = DATA.levels[scene.level], palette = scene.palette;
  context.fillStyle = level.everywhere ? palette.ground : palette.outside;
  context.fillRect(0, 0, view.width, view.height);
  context.lineJoin = context.lineCap = "round";
  paintGround(context, view, scene, level);
  if (scene.show.footprints) paintFootprints(context, view, scene);
  paintStanding(context, view, scene, level);
  paintMarkers(context, view, scene);
  const here = scene.present.filter(spot => spot.level === scene.level);
  for (const spot of scene.present) paintTail(context, view, scene, spot.track);
  if (scene.show.ellipses) for (const spot of here) paintEllipse(context, view, scene, spot);
  paintCameras(context, view, scene);
  for (const spot of here) paintSpot(context, view, scene, spot);
  paintNames(context, view, scene, here);
  paintScale(context, view, palette);
}

function paintGround(context, view, { palette }, level) {
  fill(context, path(view, level.surfaces.flat()), palette.ground);
  for (const [, kind, rings] of level.zones) {
    fill(context, path(view, rings), palette.zones[DATA.kinds.indexOf(kind) % palette.zones.length]);
  }
  const step = niceStep(140 / view.scale) || 1, [x0, y1] = view.toGround(0, 0), [x1, y0] = view.toGround(view.width, view.height);
  context.beginPath();
  for (let x = Math.ceil(x0 / step) * step; x <= x1; x += step) line(context, view, [x, y0, x, y1]);
  for (let y = Math.ceil(y0 / step) * step; y <= y1; y += step) line(context, view, [x0, y, x1, y]);
  stroke(context, palette.grid, 1);
  context.beginPath();
  for (const [, rings] of level.stalls) for (const ring of rings) line(context, view, ring);
  stroke(context, palette.stall, 1);
  stroke(context, palette.edge, 1.3, path(view, level.surfaces.flat()));
  paintPlaceNames(context, view, palette, level);
}

// Names of stalls in their middle, of zones in their upper left corner, where they have room.
function paintPlaceNames(context, view, palette, level) {
  const taken = [];
  const write = (text, size, ring, place) => {
    const [u0, v1] = view.toScreen(...corner(ring, Math.min)), [u1, v0] = view.toScreen(...corner(ring, Math.max));
    context.font = fontOf(size, false);
    const wide = context.measureText(text).width + 4, at = place(u0, v0, u1, v1, wide), box = boxAt(...at, wide, size + 2);
    if (wide > u1 - u0 || size + 4 > v1 - v0 || taken.some(other => overlap(box, other) > 0)) return;
    taken.push(box);
    words(context, at, text, size, palette.muted);
  };
  for (const [name, rings] of level.stalls) {
    write(name, 10, rings[0], (u0, v0, u1, v1) => [(u0 + u1) / 2, (v0 + v1) / 2]);
  }
  for (const [name, , rings] of level.zones) {
    write(name, 11, rings[0], (u0, v0, u1, v1, wide) => [u0 + 4 + wide / 2, v0 + 11]);
  }
}

function paintFootprints(context, view, scene) {
  const shown = DATA.cameras.filter(camera => scene.cameras.has(camera.name) && camera.views[scene.level]);
  const alpha = Math.min(0.1, Math.max(0.035, 0.22 / shown.length));
  for (const camera of shown) {
    const outline = path(view, camera.views[scene.level]), strong = camera.name === scene.hoverCamera;
    fill(context, outline, scene.palette.footprint, strong ? 0.25 : alpha);
    stroke(context, scene.palette.footprint, strong ? 2 : 1, outline, strong ? 1 : shown.length < 7 ? 0.45 : 0.25);
  }
}

function paintStanding(context, view, { palette }, level) {
  for (const rings of level.pillars) {
    fill(context, path(view, rings), palette.pillar);
    stroke(context, palette.wall, 1, path(view, rings));
  }
  context.beginPath();
  for (const wall of level.walls) line(context, view, wall);
  stroke(context, palette.wall, 2.6);
  for (const [, x, y] of level.control) {
    const [u, v] = view.toScreen(x, y);
    const triangle = new Path2D(`M${u - 4.5} ${v + 4}L${u + 4.5} ${v + 4}L${u} ${v - 4.5}Z`);
    fill(context, triangle, palette.ground);
    stroke(context, palette.control, 1.4, triangle);
  }
}

function paintMarkers(context, view, scene) {
  DATA.markers.forEach((series, k) => {
    if (!scene.series.has(series.name)) return;
    series.x.forEach((x, i) => {
      const t = series.t[i], late = t === null ? 0 : scene.time - t;
      if ((series.level[i] !== -1 && series.level[i] !== scene.level) || late < -0.02 || late > MARKER_SECONDS) return;
      const [u, v] = view.toScreen(x, series.y[i]);
      context.beginPath();
      context.moveTo(u - 3, v - 3); context.lineTo(u + 3, v + 3);
      context.moveTo(u - 3, v + 3); context.lineTo(u + 3, v - 3);
      const colour = scene.palette.markers[k % scene.palette.markers.length];
      stroke(context, colour, 1.4, null, Math.min(1, 1 - late / MARKER_SECONDS) ** 2);
    });
  });
}

// The way that a track has come, paler with age; in slices, as a canvas has no gradient along a path.
function paintTail(context, view, scene, track) {
  const now = trackAt(track, scene.time, DATA.gap), begin = scene.time - scene.tail;
  const first = Math.max(0, lastAt(track.t, begin)), last = now.row;
  const slices = 12, age = Math.min(scene.tail, scene.time - track.t[0]) || 1;
  const levels = track.level, chosen = scene.selected === track.id;
  context.lineWidth = chosen ? 3.6 : 2.3;
  context.lineCap = "butt";  // round ends would show as dots where slices meet
  context.strokeStyle = scene.palette.track(track.id);
  let change = 0, slice = -1;
  const finish = () => { if (slice >= 0) context.stroke(); };
  for (let i = first; i <= last; i++) {
    while (change + 1 < levels.length && levels[change + 1][0] <= i) change++;
    const end = i < last ? [track.t[i + 1], track.x[i + 1], track.y[i + 1]] : [scene.time, now.x, now.y];
    const broken = i < last && (end[0] - track.t[i] > DATA.gap || levels[change + 1]?.[0] === i + 1);
    if (levels[change][1] !== scene.level || broken) { finish(); slice = -1; continue; }
    let [t, x, y] = [track.t[i], track.x[i], track.y[i]];
    if (t < begin) {
      const part = (begin - t) / (end[0] - t || 1);
      [t, x, y] = [begin, x + part * (end[1] - x), y + part * (end[2] - y)];
    }
    const next = Math.min(slices - 1, Math.floor(slices * (1 - (scene.time - t) / age)));
    if (next !== slice) {
      finish();
      slice = next;
      context.globalAlpha = 0.12 + 0.88 * Math.max(0, slice + 1) / slices;
      context.beginPath();
      context.moveTo(...view.toScreen(x, y));
    }
    context.lineTo(...view.toScreen(end[1], end[2]));
  }
  finish();
  context.globalAlpha = 1;
  context.lineCap = "round";
}

function paintEllipse(context, view, scene, spot) {
  if (spot.a === null) return;
  const [u, v] = view.toScreen(spot.x, spot.y), outline = new Path2D();
  outline.ellipse(u, v, spot.a * view.scale, spot.b * view.scale, -spot.angle, 0, 2 * Math.PI);
  const colour = scene.palette.track(spot.track.id);
  fill(context, outline, colour, 0.16);
  context.setLineDash(spot.state === "coasting" ? [4, 3] : []);
  stroke(context, colour, 1.2, outline, 0.9);
  context.setLineDash([]);
}

function paintSpot(context, view, { palette, selected, hover }, spot) {
  const [u, v] = view.toScreen(spot.x, spot.y), strong = [selected, hover].includes(spot.track.id);
  const dot = new Path2D(), colour = palette.track(spot.track.id), seen = spot.state !== "coasting";
  dot.arc(u, v, strong ? 6.5 : 4.5, 0, 2 * Math.PI);
  fill(context, dot, seen ? colour : palette.ground);
  stroke(context, seen ? palette.ground : colour, 1.5, dot);
  if (selected !== spot.track.id) return;
  const ring = new Path2D();
  ring.arc(u, v, 11, 0, 2 * Math.PI);
  stroke(context, colour, 2, ring);
}

// Names go where they cover least of what stands there already; the first that come choose first.
function paintNames(context, view, { palette, show, selected, hover, level, hoverCamera }, here) {
  const names = [];
  for (const { track, x, y } of show.ids ? here : []) {
    const first = track.id === selected || track.id === hover;
    names.push({ text: String(track.id), at: view.toScreen(x, y), size: 12, bold: true, colour: palette.track(track.id), first });
  }
  for (const camera of DATA.cameras) {
    if (!camera.levels.includes(level) || camera.xy[0] === null || !(show.names || camera.name === hoverCamera)) continue;
    const at = view.toScreen(...camera.xy);
    names.push({ text: camera.name, at, size: 11, bold: false, colour: palette.camera, first: camera.name === hoverCamera });
  }
  const taken = names.map(({ at }) => boxAt(...at, 10, 10));
  for (const name of names.sort((a, b) => b.first - a.first)) {
    context.font = fontOf(name.size, name.bold);
    const half = context.measureText(name.text).width / 2, [u, v] = name.at, area = (2 * half + 2) * 13;
    const places = [[half + 9, -8], [-half - 9, -8], [half + 9, 8], [-half - 9, 8], [0, -15], [0, 15], [half + 17, -17], [-half - 17, 17]];
    const boxes = places.map(([du, dv]) => boxAt(u + du, v + dv, 2 * half + 2, 13));
    const outside = box => area - overlap(box, [0, 0, view.width, view.height]);
    const costs = boxes.map(box => taken.reduce((sum, other) => sum + overlap(box, other), outside(box)));
    const best = costs.indexOf(Math.min(...costs));
    if (costs[best] > CROWDED * area && !name.first) continue;
    taken.push(boxes[best]);
    words(context, [u + places[best][0], v + places[best][1]], name.text, name.size, name.colour, name.bold, palette.ground);
  }
}

function paintCameras(context, view, scene) {
  for (const camera of DATA.cameras) {
    if (!camera.levels.includes(scene.level) || camera.xy[0] === null) continue;
    const [u, v] = view.toScreen(...camera.xy), square = new Path2D(), colour = scene.palette.camera;
    if (camera.ahead !== null) {
      const wedge = new Path2D();
      wedge.moveTo(u, v);
      wedge.arc(u, v, 19, -camera.ahead - 0.5, -camera.ahead + 0.5);
      fill(context, wedge, colour, 0.35);
    }
    square.rect(u - 3.5, v - 3.5, 7, 7);
    fill(context, square, camera.known ? colour : scene.palette.ground);
    stroke(context, camera.known ? scene.palette.ground : colour, 1.2, square);
  }
}

function paintScale(context, view, palette) {
  const length = niceStep(150 / view.scale), long = length * view.scale, x = 16, y = view.height - 18;
  context.fillStyle = palette.panel;
  context.globalAlpha = 0.85;
  context.beginPath();
  context.roundRect(x - 8, y - 22, long + 50, 34, 7);
  context.fill();
  context.globalAlpha = 1;
  context.beginPath();
  context.moveTo(x, y - 5); context.lineTo(x, y); context.lineTo(x + long, y); context.lineTo(x + long, y - 5);
  stroke(context, palette.ink, 1.6);
  words(context, [x + long / 2, y - 10], `${length} m`, 11, palette.ink);
  const north = x + long + 24;
  fill(context, new Path2D(`M${north} ${y - 8}L${north + 5} ${y + 6}L${north} ${y + 2.5}L${north - 5} ${y + 6}Z`), palette.ink);
  words(context, [north, y - 14], DATA.datum ? "N" : "y", 11, palette.ink, true);
}

function path(view, rings) {
  const outline = new Path2D();
  for (const ring of rings) { line(outline, view, ring); outline.closePath(); }
  return outline;
}

function line(target, view, flat) {
  target.moveTo(...view.toScreen(flat[0], flat[1]));
  for (let i = 2; i < flat.length; i += 2) target.lineTo(...view.toScreen(flat[i], flat[i + 1]));
}

function fill(context, outline, colour, alpha = 1) {
  context.globalAlpha = alpha;
  context.fillStyle = colour;
  context.fill(outline, RINGS);
  context.globalAlpha = 1;
}

function stroke(context, colour, width, outline = null, alpha = 1) {
  context.globalAlpha = alpha;
  context.strokeStyle = colour;
  context.lineWidth = width;
  if (outline) context.stroke(outline); else context.stroke();
  context.globalAlpha = 1;
}

function words(context, [u, v], text, size, colour, bold = false, halo = null) {
  context.font = fontOf(size, bold);
  context.textAlign = "center";
  context.textBaseline = "middle";
  if (halo) {
    context.strokeStyle = halo;
    context.lineWidth = 3;
    context.strokeText(text, u, v);
  }
  context.fillStyle = colour;
  context.fillText(text, u, v);
}

function fontOf(size, bold) { return `${bold ? "bold " : ""}${size}px system-ui, sans-serif`; }

function corner(ring, choose) {
  return [choose(...ring.filter((_, i) => i % 2 === 0)), choose(...ring.filter((_, i) => i % 2 === 1))];
}

function boxAt(u, v, width, height) { return [u - width / 2, v - height / 2, u + width / 2, v + height / 2]; }

function overlap(a, b) {
  return Math.max(0, Math.min(a[2], b[2]) - Math.max(a[0], b[0])) * Math.max(0, Math.min(a[3], b[3]) - Math.max(a[1], b[1]));
}
