// What the page holds and what it shows now.

const element = id => document.getElementById(id);
const DATA = JSON.parse(element("data").textContent);
const canvas = element("canvas"), context = canvas.getContext("2d"), view = new View(DATA.box), store = new Store(DATA);
const MANY = DATA.tracks.length > 150;  // so many that their names would cover everything
const scene = {
  level: 0, time: 0, tail: 15, present: [], selected: null, stall: null, camera: null, hover: null, hoverCamera: null,
  palette: readPalette(), stalls: "taken", heatName: "none", stillKey: "",
  show: { footprints: !MANY, ellipses: true, ids: true, names: DATA.cameras.length <= 20 && innerWidth > 760 },
  cameras: new Set(DATA.cameras.map(camera => camera.name)), series: new Set(DATA.markers.map(series => series.name)),
  wayOf: (track, begin, end) => store.way(track, Math.max(begin, 0), end), alarmOf: camera => alarmOf(camera),
  heat: (context, view) => paintHeat(context, view, scene), under: (context, view) => paintStalls(context, view, scene),
};
let playing = false, speed = 1, asked = false, before = 0;

function select(id) {
  [scene.selected, scene.stall, scene.camera] = [id, null, null];
  const spot = scene.present.find(spot => spot.track.id === id);
  if (spot && spot.level !== scene.level) setLevel(spot.level);
  if (id !== null) whole(store.byId.get(id));
  change();
}

// Unpack what is earlier of a track, so that it is known since when it has been what it is.
function whole(track) {
  if (!track) return;
  for (let k = store.chunkAt(scene.time); k >= store.chunkAt(track.first); k--) store.load(k, change);
}

function chooseStall(index) {
  [scene.selected, scene.stall, scene.camera] = [null, index, null];
  if (DATA.stalls[index][0] !== scene.level) setLevel(DATA.stalls[index][0]);
  const ring = stallShape(index)[1][0];
  showPlace(...[0, 1].map(k => (corner(ring, Math.min)[k] + corner(ring, Math.max)[k]) / 2));
  change();
}

function chooseCamera(name) {
  [scene.selected, scene.stall, scene.camera] = [null, null, name];
  const camera = DATA.cameras.find(camera => camera.name === name);
  if (!camera.levels.includes(scene.level) && camera.levels.length) setLevel(camera.levels[0]);
  if (camera.xy[0] !== null) showPlace(...camera.xy);
  change();
}

// Move the view so that a place is in it.
function showPlace(x, y) {
  const [u, v] = view.toScreen(x, y), edge = 40;
  if (u < edge || v < edge || u > view.width - edge || v > view.height - edge) view.pan(view.width / 2 - u, view.height / 2 - v);
  change();
}

function setLevel(index) {
  scene.level = index;
  [...element("levels").children].forEach((button, i) => {
    button.setAttribute("aria-checked", String(i === index));
    button.tabIndex = i === index ? 0 : -1;
  });
  change();
}

function goTo(time) {
  scene.time = Math.max(0, Math.min(DATA.seconds, time));
  change();
}
