// Drawing: everything that appears on the canvas. `scene` is what page.js wants shown.

const RINGS = "evenodd";
const MARKER_SECONDS = 10;  // a point of another source fades within so long

function readPalette() {
  const style = getComputedStyle(document.documentElement);
  const colour = name => style.getPropertyValue(`--${name}`).trim();
  const cycle = name => {
    const found = [];
    while (colour(`${name}-${found.length}`)) found.push(colour(`${name}-${found.length}`));
    return found;
  };
  const names = ["ground", "outside", "ink", "muted", "grid", "edge", "stall", "wall", "pillar", "camera", "footprint",
    "control", "accent", "panel", "alarm", "free", "taken"];
  const palette = Object.fromEntries(names.map(name => [name, colour(name)]));
  for (const name of ["zones", "markers", "tracks", "heat"]) palette[name] = cycle(name);
  palette.track = id => palette.tracks[((id % palette.tracks.length) + palette.tracks.length) % palette.tracks.length];
  return palette;
}

const GROUND = { canvas: null, key: "" };  // what does not change from frame to frame, drawn once

function paint(context, view, scene) {
  const ratio = devicePixelRatio || 1, palette = scene.palette;
  const key = [scene.level, view.x, view.y, view.scale, view.width, view.height, ratio, palette.ground, scene.hoverCamera,
    scene.show.footprints, [...scene.cameras], scene.stillKey, DATA.name].join();
  if (GROUND.key !== key) paintStill(ratio, view, scene);
  GROUND.key = key;
  context.save();
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.drawImage(GROUND.canvas, 0, 0);
  context.restore();
  context.lineJoin = context.lineCap = "round";
  scene.under?.(context, view);
  paintMarkers(context, view, scene);
  const here = paintMoving(context, view, scene);
  paintCameras(context, view, scene);
  paintNames(context, view, scene, here);
  paintScale(context, view, palette);
}

function paintStill(ratio, view, scene) {
  GROUND.canvas ??= document.createElement("canvas");
  GROUND.canvas.width = Math.max(1, Math.round(view.width * ratio));
  GROUND.canvas.height = Math.max(1, Math.round(view.height * ratio));
  const context = GROUND.canvas.getContext("2d", { alpha: false }), level = DATA.levels[scene.level];
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.fillStyle = level.everywhere ? scene.palette.ground : scene.palette.outside;
  context.fillRect(0, 0, view.width, view.height);
  context.lineJoin = context.lineCap = "round";
  paintGround(context, view, scene, level);
  scene.heat?.(context, view);
  if (scene.show.footprints) paintFootprints(context, view, scene);
  paintStanding(context, view, scene, level);
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

function paintCameras(context, view, scene) {
  for (const camera of DATA.cameras) {
    if (!camera.levels.includes(scene.level) || camera.xy[0] === null) continue;
    const [u, v] = view.toScreen(...camera.xy), square = new Path2D(), alarm = scene.alarmOf?.(camera);
    const colour = alarm ? scene.palette.alarm : scene.palette.camera;
    if (camera.ahead !== null) {
      const wedge = new Path2D();
      wedge.moveTo(u, v);
      wedge.arc(u, v, 19, -camera.ahead - 0.5, -camera.ahead + 0.5);
      fill(context, wedge, colour, 0.35);
    }
    square.rect(u - 3.5, v - 3.5, 7, 7);
    fill(context, square, camera.known ? colour : scene.palette.ground);
    stroke(context, camera.known ? scene.palette.ground : colour, 1.2, square);
    if (alarm) paintAlarm(context, [u, v], colour);
    if (scene.camera === camera.name) {
      const ring = new Path2D();
      ring.arc(u, v, 12, 0, 2 * Math.PI);
      stroke(context, colour, 2.2, ring);
    }
  }
}

function paintAlarm(context, [u, v], colour) {
  const ring = new Path2D(), badge = new Path2D();
  ring.arc(u, v, 9, 0, 2 * Math.PI);
  stroke(context, colour, 2, ring);
  badge.arc(u - 9, v - 9, 6.5, 0, 2 * Math.PI);
  fill(context, badge, colour);
  words(context, [u - 9, v - 8.5], "!", 10, "#ffffff", true);
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

function fill(context, outline, colour, alpha = 1, rule = RINGS) {
  context.globalAlpha = alpha;
  context.fillStyle = colour;
  context.fill(outline, rule);
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
