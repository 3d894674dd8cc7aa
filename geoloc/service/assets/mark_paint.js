// What the two panes show. `now` is the state of the page (mark.js); colours and map come as on map pages (paint.js).

const WHISKER = 10;  // residuals are drawn so many times too long: a pixel would not be seen
const LONGEST_PX = 160;  // of the still; beyond it they are drawn as long as they are, up to where the mark should be
let plates = [];  // where names of the still stand already
const LOUPE_PX = 132, LOUPE_ZOOM = 4;

function paintStill(context, view) {
  const { palette } = now;
  context.fillStyle = palette.outside;
  context.fillRect(0, 0, view.width, view.height);
  if (!now.picture) return words(context, [view.width / 2, view.height / 2], "loading the still …", 14, palette.muted);
  const [u0, v0] = view.ofPixel(-0.5, -0.5), [width, height] = now.camera.size;
  context.imageSmoothingEnabled = view.scale < 3;
  context.drawImage(now.picture, u0, v0, width * view.scale, height * view.scale);
  if (now.showLines && now.found) paintLines(context, view, now.found.lines[now.level], [u0, v0, width * view.scale, height * view.scale]);
  plates = [];
  paintDrawn(context, view);
  for (const mark of now.marks()) paintWhisker(context, view, mark);
  if (now.next) paintNext(context, view.ofPixel(now.next.u, now.next.v), now.next.point || "next mark");
  const urgent = mark => { const { chosen, poor } = stateOf(mark); return 2 * chosen + poor; };
  for (const mark of now.marks().toSorted((a, b) => urgent(b) - urgent(a))) paintMark(context, view.ofPixel(mark.u, mark.v), mark.point, stateOf(mark));
  paintLineNames(context, view);
  if (now.showPredicted && now.found) paintPredicted(context, view);
  if (now.pending.pixel) paintCross(context, view.ofPixel(...now.pending.pixel), palette.accent, 16);
  if (stillPane.cross) paintCross(context, stillPane.cross, "#fff", 12);
  paintLoupe(context, view);
}

function paintLines(context, view, lines, inside) {
  const outline = new Path2D();
  context.save();
  context.beginPath();
  context.rect(...inside);
  context.clip();
  for (const flat of lines) {
    outline.moveTo(...view.ofPixel(flat[0], flat[1]));
    for (let i = 2; i < flat.length; i += 2) outline.lineTo(...view.ofPixel(flat[i], flat[i + 1]));
  }
  context.lineJoin = "round";
  stroke(context, "#000", 3, outline, 0.35);
  stroke(context, "#7fe3ff", 1.3, outline, 0.95);
  context.restore();
}

function paintPredicted(context, view) {
  const left = new Set(now.points.filter(point => point.level === now.level).map(point => point.name));
  for (const { point } of now.marks()) left.delete(point);
  left.delete(now.next?.point);
  for (const [point, [u, v]] of Object.entries(now.found.predicted)) {
    if (!left.has(point)) continue;
    const [x, y] = view.ofPixel(u, v), ring = new Path2D();
    ring.arc(x, y, 6, 0, 2 * Math.PI);
    context.setLineDash([3, 3]);
    stroke(context, "#000", 3, ring, 0.4);
    stroke(context, "#fff", 1.4, ring);
    context.setLineDash([]);
    label(context, x, y, point, "#fff");
  }
}

function stateOf(mark) {
  const residual = now.residuals[mark.point], chosen = now.selected === mark.point;
  if (!residual || residual.du === null) return { chosen, poor: false, known: false, size: null };
  const size = Math.hypot(residual.du, residual.dv);
  return { chosen, size, known: true, poor: !residual.used || mark.point in now.wrong };
}

function paintWhisker(context, view, mark) {
  const residual = now.residuals[mark.point];
  if (!residual || residual.du === null) return;
  const far = Math.hypot(residual.du, residual.dv) * WHISKER > LONGEST_PX;
  const [x, y] = view.ofPixel(mark.u, mark.v), long = (far ? 1 : WHISKER) * view.scale;
  context.beginPath();
  context.moveTo(x, y);
  context.lineTo(x - residual.du * long, y - residual.dv * long);
  stroke(context, "#000", 4, null, 0.4);
  stroke(context, stateOf(mark).poor ? "#ff6a6a" : "#8df0a4", 2);
}

function paintMark(context, [x, y], name, { chosen, poor }) {
  const colour = poor ? "#ff6a6a" : "#ffd84d", ring = new Path2D(), dot = new Path2D();
  ring.arc(x, y, chosen ? 9 : 6.5, 0, 2 * Math.PI);
  dot.arc(x, y, 1.4, 0, 2 * Math.PI);
  stroke(context, "#000", chosen ? 5 : 4, ring, 0.5);
  stroke(context, colour, chosen ? 3 : 2, ring);
  fill(context, dot, colour);
  label(context, x, y, poor ? `${name} !` : name, colour, chosen);
}

// A short name on a dark plate: readable on whatever the still shows. It stands where there is room, or not at all.
function label(context, x, y, text, colour, bold = false) {
  const short = text.length > 26 ? `${text.slice(0, 25)}…` : text;
  context.font = fontOf(12, bold);
  const wide = context.measureText(short).width + 10, { clientWidth: right } = context.canvas;
  const spots = [[x + 11, y - 20], [x + 11, y + 4], [x - 11 - wide, y - 20], [x - 11 - wide, y + 4], [x - wide / 2, y - 30], [x - wide / 2, y + 13]];
  const free = ([left, top]) => left > 0 && left + wide < right && !plates.some(plate => overlap(plate, [left, top, left + wide, top + 17]) > 0);
  const [left, top] = spots.find(free) ?? (bold ? spots[0] : [null, null]);
  if (left === null) return;
  plates.push([left, top, left + wide, top + 17]);
  context.globalAlpha = 0.62;
  context.fillStyle = "#000";
  context.beginPath();
  context.roundRect(left, top, wide, 17, 5);
  context.fill();
  context.globalAlpha = 1;
  words(context, [left + wide / 2, top + 9], short, 12, colour, bold);
}

function paintNext(context, [x, y], text) {
  const colour = "#5ad1ff";
  for (const radius of [11, 18]) {
    const ring = new Path2D();
    ring.arc(x, y, radius, 0, 2 * Math.PI);
    stroke(context, "#000", 4, ring, 0.35);
    stroke(context, colour, 2, ring, radius === 18 ? 0.6 : 1);
  }
  label(context, x + 8, y - 6, text, colour, true);
}

function paintCross(context, [x, y], colour, reach) {
  const cross = new Path2D(`M${x - reach} ${y}H${x - 3}M${x + 3} ${y}H${x + reach}M${x} ${y - reach}V${y - 3}M${x} ${y + 3}V${y + reach}`);
  stroke(context, "#000", 4.5, cross, 0.5);
  stroke(context, colour, 2, cross);
}

// The pixels under the pointer, larger, in the corner that is farther from it.
function paintLoupe(context, view) {
  const at = stillPane.cross ?? stillPane.mouse;
  if (!at || view.scale > 3) return;
  const size = LOUPE_PX, left = at[0] > view.width / 2 ? 12 : view.width - size - 54, top = view.height - size - 54;
  if (size > view.width / 3 || size > view.height / 2) return;
  const [u, v] = view.pixelAt(...at), zoom = Math.max(LOUPE_ZOOM, LOUPE_ZOOM * view.scale), seen = size / zoom;
  context.save();
  context.beginPath();
  context.roundRect(left, top, size, size, 10);
  context.fillStyle = now.palette.outside;
  context.fill();
  context.clip();
  context.imageSmoothingEnabled = false;
  context.drawImage(now.picture, u + 0.5 - seen / 2, v + 0.5 - seen / 2, seen, seen, left, top, size, size);
  context.restore();
  paintCross(context, [left + size / 2, top + size / 2], "#fff", 14);
  const frame = new Path2D();
  frame.roundRect(left, top, size, size, 10);
  stroke(context, now.palette.panel, 2, frame);
}

function paintMap(context, view) {
  const level = DATA.levels[now.level], { palette } = now;
  context.fillStyle = level.everywhere ? palette.ground : palette.outside;
  context.fillRect(0, 0, view.width, view.height);
  context.lineJoin = context.lineCap = "round";
  if (now.plan) paintPicture(context, view, now.plan, DATA.plan.affine);
  if (scan.shown) paintScan(context, view);
  if (now.plan || scan.shown) paintOutlines(context, view, level); else paintGround(context, view, now, level);
  paintStanding(context, view, now, { ...level, control: [] });
  paintProposals(context, view);
  if (now.found) paintPlace(context, view);
  paintPoints(context, view);
  if (now.next && now.next.level === now.level) paintNext(context, view.toScreen(now.next.x, now.next.y), now.next.point || "next mark");
  if (now.pending.place) paintCross(context, view.toScreen(...now.pending.place), palette.accent, 16);
  if (mapPane.cross) paintCross(context, mapPane.cross, palette.ink, 12);
  if (scan.shown) paintHeights(context, view);
  paintScale(context, view, palette);
}

// A picture lies under the lines: x = A u + B v + C of its pixels becomes a transform of the canvas.
function paintPicture(context, view, picture, affine) {
  const [[a, b, c], [d, e, f]] = affine, s = view.scale, r = mapPane.ratio;
  const [x, y] = view.toScreen(c - 0.5 * (a + b), f - 0.5 * (d + e));
  context.save();
  context.setTransform(r * s * a, -r * s * d, r * s * b, -r * s * e, r * x, r * y);
  context.drawImage(picture, 0, 0);
  context.restore();
}

function paintOutlines(context, view, level) {
  context.beginPath();
  for (const [, rings] of level.stalls) for (const ring of rings) line(context, view, ring);
  stroke(context, now.palette.accent, 1, null, 0.5);
  stroke(context, now.palette.accent, 1.3, path(view, level.surfaces.flat()), 0.7);
}

function paintPlace(context, view) {
  const [x, y] = view.toScreen(now.found.x, now.found.y), wedge = new Path2D(), square = new Path2D(), colour = now.palette.camera;
  const half = Math.atan(now.camera.size[0] / 2 / now.found.focal), reach = 0.32 * Math.min(view.width, view.height);
  wedge.moveTo(x, y);
  wedge.arc(x, y, reach, -now.found.ahead - half, -now.found.ahead + half);
  wedge.closePath();
  fill(context, wedge, colour, 0.14);
  stroke(context, colour, 1.2, wedge, 0.5);
  square.rect(x - 5, y - 5, 10, 10);
  fill(context, square, colour);
  stroke(context, now.palette.ground, 1.5, square);
  context.font = fontOf(12, true);
  const room = context.measureText(now.camera.name).width / 2 + 6;
  words(context, [Math.max(room, Math.min(view.width - room, x)), y - 15], now.camera.name, 12, colour, true, now.palette.ground);
}

function paintPoints(context, view) {
  const marked = new Map(now.marks().map(mark => [mark.point, mark])), taken = [];
  const here = now.points.filter(point => point.level === now.level);
  here.sort((a, b) => rank(b, marked) - rank(a, marked));
  for (const point of here) {
    const [x, y] = view.toScreen(point.x, point.y), mark = marked.get(point.name), wanted = now.pending.point === point.name;
    const state = mark ? stateOf(mark) : { chosen: now.selected === point.name, poor: false };
    const colour = wanted || state.chosen ? now.palette.accent : state.poor ? now.palette.poor : now.palette.control;
    const big = wanted || state.chosen ? 8 : 6, triangle = new Path2D(`M${x - big} ${y + 0.8 * big}H${x + big}L${x} ${y - big}Z`);
    fill(context, triangle, mark ? colour : now.palette.ground);
    stroke(context, mark ? now.palette.ground : colour, mark ? 1.2 : 1.8, triangle);
    if (wanted || state.chosen) {
      const ring = new Path2D();
      ring.arc(x, y, 14, 0, 2 * Math.PI);
      stroke(context, colour, 2, ring);
    }
    const short = point.name.length > 22 ? `${point.name.slice(0, 21)}…` : point.name;
    context.font = fontOf(11, Boolean(mark));
    const box = boxAt(x, y + 17, context.measureText(short).width + 4, 13);
    if (!wanted && !state.chosen && taken.some(other => overlap(box, other) > 0)) continue;
    taken.push(box);
    words(context, [x, y + 17], short, 11, colour, Boolean(mark), now.palette.ground);
  }
}

function rank(point, marked) {
  return (now.pending.point === point.name || now.selected === point.name ? 4 : 0) + (marked.has(point.name) ? 2 : 0);
}
