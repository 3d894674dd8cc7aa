// The page put together: one frame after the other.

const FRAMES = 400;  // whose times are kept, for who wants to measure
const TELL_MS = 200;
const frames = [];
let toldAt = 0;

// Drawing happens once a frame at most, however much has changed.
function change() {
  if (asked) return;
  asked = true;
  requestAnimationFrame(now => {
    asked = false;
    if (playing) advance(now);
    frame(now);
    if (playing) change();
  });
}

function frame(now) {
  read();
  if (store.has(scene.time)) scene.present = store.at(scene.time);
  paint(context, view, scene);
  showTime();
  if (!playing || now - toldAt > TELL_MS) tell(now);
  frames.push(now);
  if (frames.length > FRAMES) frames.shift();
}

// What is said in words, which nobody reads thirty times a second.
function tell(now) {
  toldAt = now;
  showDetails();
  showTracks();
  showEvents();
  showCameras();
  showLegend();
  showLineage();
}

// Unpack what is needed now, and soon.
function read() {
  const k = store.chunkAt(scene.time);
  store.load(k, change);
  if (playing) store.load(k + 1);
  const from = scene.tail === Infinity ? 0 : store.chunkAt(scene.time - scene.tail);
  for (let i = k - 1; i >= from; i--) store.load(i, change);
}

function resize() {
  const { width, height } = element("map").getBoundingClientRect(), ratio = window.devicePixelRatio || 1;
  canvas.width = Math.max(1, Math.round(width * ratio));
  canvas.height = Math.max(1, Math.round(height * ratio));
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  view.resize(width, height);
  change();
}

function buildHead() {
  element("title").textContent = DATA.title;
  const parts = [counted(DATA.tracks.length, "track"), counted(DATA.cameras.length, "camera")];
  if (DATA.stalls.length) parts.push(counted(DATA.stalls.length, "stall"));
  if (DATA.seconds > 0) parts.push(durationText(DATA.seconds));
  if (DATA.utc) parts.push(new Date(DATA.start * 1000).toISOString().slice(0, 10));
  if (DATA.tolerance) parts.push(`ways to ${DATA.tolerance * 100} cm`);
  parts.push(`ellipses hold ${+(100 * DATA.probability).toFixed(2)} %`);
  element("summary").textContent = parts.join(" · ");
  element("levels").hidden = DATA.levels.length < 2;
  DATA.levels.forEach((level, i) => element("levels").append(
    make("button", { type: "button", role: "radio", onclick: () => setLevel(i) }, level.name)));
  element("levels").addEventListener("keydown", event => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    setLevel((scene.level + step + DATA.levels.length) % DATA.levels.length);
    element("levels").children[scene.level].focus();
  });
}

function start() {
  buildHead();
  buildTabs();
  buildLists();
  buildSearch();
  buildTimeline();
  buildInput();
  buildLineage();
  canvas.setAttribute("aria-label", `Map of ${DATA.title}`);
  new ResizeObserver(resize).observe(element("map"));
  toggleCamera("", false);
  // the page opens in the middle of the recording, where there is something to see
  scene.time = DATA.seconds / 2;
  setLevel(0);
  setPlaying(false);
  resize();
}

start();
