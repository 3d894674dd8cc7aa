// A scan of the site under the map: a picture from above, and the surface under a click.

const scan = { shown: false, pictures: new Map(), wanted: "", refused: new Map() };

function cutHeight() {
  const field = element("cut"), value = Number(field.value);
  return field.checkValidity() && value > 0 ? Math.round(value * 100) / 100 : 3;
}

function scanHere() { return scan.shown ? scan.pictures.get(scan.wanted) ?? null : null; }

// The picture of this level, cut at this height; one that is there already is not asked for again.
async function showScan() {
  if (!DATA.scan) return;
  const which = `${now.level}/${Math.round(100 * cutHeight())}`;
  scan.wanted = which;
  element("cut-field").hidden = !scan.shown;
  repaint();
  if (!scan.shown || scan.pictures.has(which) || scan.refused.has(which)) return;
  try {
    const data = await ask(`scan/${which}`), [picture] = await loadPicture(`scan/${which}.png`);
    scan.pictures.set(which, { ...data, picture });
  } catch (error) { scan.refused.set(which, error.message); }
  repaint();
}

// Height over the level and sigmas (m) of the surface that was clicked.
function pickScan([x, y]) {
  return ask("pick", { x, y, level: DATA.levels[now.level].name, cut: cutHeight(), size: 1 / mapPane.view.scale });
}

function paintScan(context, view) {
  const here = scanHere();
  if (!here) return words(context, [view.width / 2, view.height / 2], scan.refused.get(scan.wanted) ?? "loading the scan …", 13, now.palette.muted);
  paintPicture(context, view, here.picture, here.affine);
}

function tenths(value) { return (Math.round(10 * value) / 10 || 0).toFixed(1); }

function paintHeights(context, view) {
  const here = scanHere();
  if (!here) return;
  const wide = 120, x = 20, y = view.height - 84, shade = context.createLinearGradient(x, 0, x + wide, 0);
  DATA.scan.colours.forEach((colour, i, all) => shade.addColorStop(i / (all.length - 1), colour));
  const plate = new Path2D();
  plate.roundRect(x - 12, y - 12, wide + 24, 42, 8);
  fill(context, plate, now.palette.panel, 0.94);
  context.fillStyle = shade;
  context.fillRect(x, y - 2, wide, 8);
  words(context, [x + 14, y + 18], `${tenths(here.low)} m`, 11, now.palette.ink);
  words(context, [x + wide / 2, y + 18], "height", 11, now.palette.muted);
  words(context, [x + wide - 14, y + 18], `${tenths(here.high)} m`, 11, now.palette.ink);
}

function startScan() {
  element("scan-tools").hidden = !DATA.scan;
  if (!DATA.scan) return;
  scan.shown = element("show-scan").checked = true;
  element("show-scan").addEventListener("change", event => { scan.shown = event.target.checked; showScan(); });
  element("cut").addEventListener("change", showScan);
  showScan();
}
