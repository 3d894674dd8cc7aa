// Drawing what moves: tails, ellipses, objects, their names. Many objects share a path, a colour each.

const MOST_NAMES = 90;  // in view, of more only the chosen ones are named
const CROWDED = 0.3;  // a name that covers others by more than this share of itself is left out
const SLICES = 12, SLOW = 0.25;  // m/s

function paintMoving(context, view, scene) {
  const inside = ({ x, y }) => {
    const [u, v] = view.toScreen(x, y);
    return u > -60 && v > -60 && u < view.width + 60 && v < view.height + 60;
  };
  const here = scene.present.filter(spot => spot.level === scene.level && inside(spot));
  if (scene.tail > 0) for (const spot of scene.present) if (!isStill(spot) || scene.selected === spot.track.id) paintTail(context, view, scene, spot);
  const colours = new Map();
  for (const spot of here) {
    const colour = scene.palette.track(spot.track.id);
    if (colours.has(colour)) colours.get(colour).push(spot); else colours.set(colour, [spot]);
  }
  if (scene.show.ellipses) for (const [colour, spots] of colours) paintEllipses(context, view, colour, spots);
  for (const [colour, spots] of colours) paintSpots(context, view, scene, colour, spots);
  for (const spot of here) if ([scene.selected, scene.hover].includes(spot.track.id)) paintChosen(context, view, scene, spot);
  return here;
}

// Parked, or, where that is not known, slower than anybody walks.
function isStill({ life, vx, vy }) { return ["parked", "hidden"].includes(life) || Math.hypot(vx ?? 0, vy ?? 0) < SLOW; }

// The way that a track has come, paler with age; in slices, as a canvas has no gradient along a path.
function paintTail(context, view, scene, spot) {
  const begin = scene.time - scene.tail, way = scene.wayOf(spot.track, begin, scene.time);
  if (!way.length) return;
  way.push([scene.time, spot.x, spot.y, spot.level, 1]);
  const age = Math.min(scene.tail, scene.time - way[0][0]) || 1, chosen = scene.selected === spot.track.id;
  context.lineWidth = chosen ? 3.6 : 2.3;
  context.lineCap = "butt";  // round ends would show as dots where slices meet
  context.strokeStyle = scene.palette.track(spot.track.id);
  let slice = -1;
  const finish = () => { if (slice >= 0) context.stroke(); slice = -1; };
  for (let i = 0; i + 1 < way.length; i++) {
    let [t, x, y, level, cut] = way[i];
    const [t1, x1, y1, level1] = way[i + 1];
    if (level !== scene.level || level1 !== level || cut) { finish(); continue; }
    if (t < begin) {
      const part = (begin - t) / (t1 - t || 1);
      [t, x, y] = [begin, x + part * (x1 - x), y + part * (y1 - y)];
    }
    const next = Math.max(0, Math.min(SLICES - 1, Math.floor(SLICES * (1 - (scene.time - t) / age))));
    if (next !== slice) {
      finish();
      slice = next;
      context.globalAlpha = 0.12 + 0.88 * (slice + 1) / SLICES;
      context.beginPath();
      context.moveTo(...view.toScreen(x, y));
    }
    context.lineTo(...view.toScreen(x1, y1));
  }
  finish();
  context.globalAlpha = 1;
  context.lineCap = "round";
}

function paintEllipses(context, view, colour, spots) {
  for (const coasting of [false, true]) {
    const outline = new Path2D();
    let any = false;
    for (const { x, y, a, b, angle, state } of spots) {
      if (a === null || (state === "coasting") !== coasting || a * view.scale < 4) continue;
      const [u, v] = view.toScreen(x, y), long = a * view.scale;
      outline.moveTo(u + long * Math.cos(angle), v - long * Math.sin(angle));
      outline.ellipse(u, v, long, b * view.scale, -angle, 0, 2 * Math.PI);
      any = true;
    }
    if (!any) continue;
    fill(context, outline, colour, 0.16, "nonzero");
    context.setLineDash(coasting ? [4, 3] : []);
    stroke(context, colour, 1.2, outline, 0.9);
    context.setLineDash([]);
  }
}

// What moves is a disc with its heading, what stands a smaller one, what nobody sees a ring.
function paintSpots(context, view, { palette }, colour, spots) {
  const size = Math.max(0.75, Math.min(1.25, view.scale / 9)), seen = new Path2D(), unseen = new Path2D(), ahead = new Path2D();
  for (const spot of spots) {
    const [u, v] = view.toScreen(spot.x, spot.y), radius = (isStill(spot) ? 3.6 : 5) * size;
    const disc = spot.state === "coasting" ? unseen : seen;
    disc.moveTo(u + radius, v);
    disc.arc(u, v, radius, 0, 2 * Math.PI);
    const speed = Math.hypot(spot.vx ?? 0, spot.vy ?? 0);
    if (speed < SLOW || isStill(spot)) continue;
    const [dx, dy] = [spot.vx / speed, -spot.vy / speed], tip = radius + 5 * size;
    ahead.moveTo(u + tip * dx, v + tip * dy);
    ahead.lineTo(u + radius * 0.9 * (dx * 0.6 - dy * 0.8), v + radius * 0.9 * (dy * 0.6 + dx * 0.8));
    ahead.lineTo(u + radius * 0.9 * (dx * 0.6 + dy * 0.8), v + radius * 0.9 * (dy * 0.6 - dx * 0.8));
    ahead.closePath();
  }
  fill(context, ahead, colour, 1, "nonzero");
  fill(context, seen, colour, 1, "nonzero");
  stroke(context, palette.ground, 1.4, seen);
  fill(context, unseen, palette.ground, 1, "nonzero");
  stroke(context, colour, 1.6, unseen);
}

function paintChosen(context, view, { palette, selected }, spot) {
  const [u, v] = view.toScreen(spot.x, spot.y), ring = new Path2D(), colour = palette.track(spot.track.id);
  ring.arc(u, v, 6.5, 0, 2 * Math.PI);
  fill(context, ring, spot.state === "coasting" ? palette.ground : colour);
  stroke(context, spot.state === "coasting" ? colour : palette.ground, 1.5, ring);
  if (selected !== spot.track.id) return;
  const outer = new Path2D();
  outer.arc(u, v, 11.5, 0, 2 * Math.PI);
  stroke(context, palette.ground, 5, outer, 0.8);
  stroke(context, colour, 2.4, outer);
}

// Names go where they cover least of what stands there already; the first that come choose first.
function paintNames(context, view, scene, here) {
  const { palette, show, selected, hover, level, hoverCamera } = scene, names = [];
  for (const { track, x, y } of here) {
    const first = track.id === selected || track.id === hover;
    if (!first && (!show.ids || here.length > MOST_NAMES)) continue;
    names.push({ text: String(track.id), at: view.toScreen(x, y), size: 12, bold: true, colour: palette.track(track.id), first });
  }
  for (const camera of DATA.cameras) {
    if (!camera.levels.includes(level) || camera.xy[0] === null || !(show.names || camera.name === hoverCamera)) continue;
    const at = view.toScreen(...camera.xy), colour = scene.alarmOf?.(camera) ? palette.alarm : palette.camera;
    names.push({ text: camera.name, at, size: 11, bold: false, colour, first: camera.name === hoverCamera });
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
