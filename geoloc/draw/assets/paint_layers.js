// Layers of the page: stalls by who is in them, heat maps, and what their colours mean.

const STALLS = { taken: "taken now", since: "taken for how long", share: "share of the time", none: "plain" };
const HEAT = { none: "none", dwell: "time spent", flow: "passages", sigma: "ground sigma", coverage: "cameras that see it" };
const HOURS = [0.25, 0.5, 1, 2, 4, 8];  // h at which the colour of a stall changes
const SHARES = [0.1, 0.25, 0.4, 0.55, 0.7, 0.85];
const BUSY = 60;  // of 255: cells with fewer passages have no arrow
const heats = new Map();  // pictures of heat maps by level, name and colours

// Of each stall (its index among all) its stays, in order of time.
const STAYS = DATA.stalls.map(() => []);
for (const [stall, track, start, end] of DATA.stays) STAYS[stall].push({ stall, track, start, end });
const STALL_OF = DATA.levels.map((_, level) => DATA.stalls.flatMap(([own], index) => (own === level ? [index] : [])));

function stallName(index) { return stallShape(index)[0]; }

function stallShape(index) {
  const [level, place] = DATA.stalls[index];
  return DATA.levels[level].stalls[place];
}

// The stay that goes on at a time; of several the one that began last.
function stayAt(index, time) {
  let found = null;
  for (const stay of STAYS[index]) if (stay.start <= time && time <= stay.end) found = stay;
  return found;
}

// Seconds that a stall was taken between two times; stays of two objects at once count once.
function takenSeconds(index, from, to) {
  let sum = 0, done = from;
  for (const { start, end } of STAYS[index]) {
    sum += Math.max(0, Math.min(end, to) - Math.max(start, done));
    done = Math.max(done, Math.min(end, to));
  }
  return sum;
}

function stallColour(index, { stalls, time, palette }) {
  const stay = stayAt(index, time), band = (value, edges) => palette.heat[edges.filter(edge => value >= edge).length];
  if (stalls === "taken") return stay ? [palette.taken, 0.34] : [palette.free, 0.16];
  if (stalls === "since") return stay ? [band((time - stay.start) / 3600, HOURS), 0.85] : null;
  const share = takenSeconds(index, 0, DATA.seconds) / Math.max(DATA.seconds, 1e-9);
  return share > 0 ? [band(share, SHARES), 0.85] : null;
}

function paintStalls(context, view, scene) {
  if (scene.stalls !== "none" && !heatOf(scene) && (DATA.stays.length || scene.stalls === "taken")) {
    const paths = new Map();
    for (const index of STALL_OF[scene.level]) {
      const colour = stallColour(index, scene);
      if (!colour) continue;
      const key = colour.join();
      if (!paths.has(key)) paths.set(key, [colour, new Path2D()]);
      for (const ring of stallShape(index)[1]) { line(paths.get(key)[1], view, ring); paths.get(key)[1].closePath(); }
    }
    for (const [[colour, alpha], outline] of paths.values()) fill(context, outline, colour, alpha, "nonzero");
  }
  if (scene.stall !== null && DATA.stalls[scene.stall][0] === scene.level) {
    const outline = path(view, stallShape(scene.stall)[1]);
    stroke(context, scene.palette.ground, 5, outline, 0.9);
    stroke(context, scene.palette.accent, 2.6, outline);
  }
}

function heatOf(scene) { return DATA.heat[scene.level].find(heat => heat.name === scene.heatName) ?? null; }

function paintHeat(context, view, scene) {
  const heat = heatOf(scene);
  if (!heat) return;
  const key = `${scene.level} ${heat.name} ${scene.palette.ground}`, found = heats.get(key);
  if (!found) {
    heats.set(key, { picture: null });
    heatPicture(heat, scene.palette.heat).then(made => { heats.set(key, made); scene.stillKey = `${key} drawn`; change(); });
    return;
  }
  if (!found.picture) return;
  const [x, y] = heat.corner, [u, v] = view.toScreen(x, y + heat.ny * heat.cell), size = heat.cell * view.scale;
  context.save();
  const level = DATA.levels[scene.level];
  if (!level.everywhere) context.clip(path(view, level.surfaces.flat()), "nonzero");
  context.globalAlpha = 0.78;
  context.imageSmoothingEnabled = heat.name !== "coverage";
  context.drawImage(found.picture, u, v, heat.nx * size, heat.ny * size);
  context.restore();
  if (found.way) paintWays(context, view, heat, found, scene.palette);
}

async function heatPicture(heat, colours) {
  const values = await inflate(heat.data), way = heat.way ? await inflate(heat.way) : null;
  const picture = document.createElement("canvas"), ramp = colours.map(hex => [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16)));
  [picture.width, picture.height] = [heat.nx, heat.ny];
  const context = picture.getContext("2d"), pixels = context.createImageData(heat.nx, heat.ny);
  values.forEach((value, i) => {
    if (!value) return;
    const at = (value - 1) / 254 * (ramp.length - 1), low = Math.min(ramp.length - 2, Math.floor(at)), part = at - low;
    const out = 4 * ((heat.ny - 1 - Math.floor(i / heat.nx)) * heat.nx + i % heat.nx);
    for (let k = 0; k < 3; k++) pixels.data[out + k] = ramp[low][k] + part * (ramp[low + 1][k] - ramp[low][k]);
    pixels.data[out + 3] = 255;
  });
  context.putImageData(pixels, 0, 0);
  return { picture, values, way };
}

// Which way most went: an arrow in every block of cells, at the one that most passed through.
function paintWays(context, view, heat, { way, values }, palette) {
  const step = Math.max(1, Math.round(30 / (heat.cell * view.scale))), arrows = new Path2D();
  for (let top = 0; top < heat.ny; top += step) {
    for (let left = 0; left < heat.nx; left += step) {
      let i = -1;
      for (let row = top; row < Math.min(top + step, heat.ny); row++) {
        for (let k = row * heat.nx + left; k < row * heat.nx + Math.min(left + step, heat.nx); k++) {
          if (way[k] && values[k] >= BUSY && (i < 0 || values[k] > values[i])) i = k;
        }
      }
      if (i < 0) continue;
      const row = Math.floor(i / heat.nx), column = i % heat.nx, angle = (way[i] - 1) / 254 * 2 * Math.PI, dx = Math.cos(angle), dy = -Math.sin(angle);
      const [u, v] = view.toScreen(heat.corner[0] + (column + 0.5) * heat.cell, heat.corner[1] + (row + 0.5) * heat.cell);
      arrows.moveTo(u - 7 * dx, v - 7 * dy);
      arrows.lineTo(u + 7 * dx, v + 7 * dy);
      arrows.moveTo(u + 7 * dx - 4 * dx - 3.5 * dy, v + 7 * dy - 4 * dy + 3.5 * dx);
      arrows.lineTo(u + 7 * dx, v + 7 * dy);
      arrows.lineTo(u + 7 * dx - 4 * dx + 3.5 * dy, v + 7 * dy - 4 * dy - 3.5 * dx);
    }
  }
  stroke(context, palette.ground, 3.4, arrows, 0.7);
  stroke(context, palette.ink, 1.5, arrows);
}

// An alarm of a camera that is on at the time shown.
function alarmOf(camera) { return camera.alarms.find(([start, end]) => start <= scene.time && scene.time <= end) ?? null; }

function showLegend() {
  const rows = [], heat = heatOf(scene), colours = scene.palette.heat;
  if (heat) {
    rows.push([heat.title, bar(colours, ...[heat.low, heat.high].map(value => heatText(heat, value)))]);
  } else if (DATA.stalls.length && scene.stalls === "taken") {
    rows.push(["Stalls", swatch(scene.palette.free, "free", 0.35), swatch(scene.palette.taken, "taken", 0.55)]);
  } else if (DATA.stays.length && scene.stalls !== "none") {
    const ends = scene.stalls === "since" ? ["15 min", "8 h"] : ["10 %", "85 %"];
    rows.push([`Stalls, ${STALLS[scene.stalls]}`, bar(colours, ...ends)]);
  }
  const key = JSON.stringify([scene.stalls, heat?.name, scene.level, scene.palette.ground]);
  if (element("legend").dataset.key === key) return;
  element("legend").dataset.key = key;
  element("legend").hidden = !rows.length;
  element("legend").replaceChildren(...rows.map(([title, ...parts]) => make("div", {}, make("b", {}, title), ...parts)));
}

function heatText({ name, unit }, value) {
  if (name === "dwell") return durationText(value);
  return name === "sigma" ? `${value < 0.1 ? (100 * value).toFixed(1) + " cm" : value.toFixed(2) + " m"}` : `${Math.round(value)}${unit}`;
}

function swatch(colour, text, alpha) {
  const patch = make("i", { class: "swatch" });
  patch.style.background = colour;
  patch.style.opacity = alpha;
  return make("span", {}, patch, text);
}

function bar(colours, low, high) {
  const ramp = make("i", { class: "ramp" });
  ramp.style.background = `linear-gradient(90deg, ${colours.join(", ")})`;
  return make("span", {}, low, ramp, high);
}
