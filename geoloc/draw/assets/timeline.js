// Time: playing, the slider, and above it how many there were and where something happened.

const PLAY = "M4 2.5v11l9-5.5z", PAUSE = "M4 2.5h3v11H4zM9 2.5h3v11H9z";
const SPEEDS = [0.25, 0.5, 1, 2, 4, 8, 16, 60, 300];
const TAILS = [[0, "none"], [5, "5 s"], [15, "15 s"], [60, "1 min"], [300, "5 min"], [Infinity, "all"]];

function advance(now) {
  const step = speed * Math.max(0, now - before) / 1000;
  before = now;
  if (!store.has(scene.time)) return;  // time stands until what was there is read
  scene.time = Math.min(DATA.seconds, scene.time + step);
  if (scene.time >= DATA.seconds) setPlaying(false);
}

function setPlaying(on) {
  if (on && scene.time >= DATA.seconds) scene.time = 0;
  playing = on && DATA.seconds > 0;
  before = performance.now();
  element("play").setAttribute("aria-label", playing ? "Pause" : "Play");
  element("play-sign").setAttribute("d", playing ? PAUSE : PLAY);
  change();
}

function setSpeed(value) {
  speed = value;
  element("speed").value = value;
}

function showTime() {
  const text = clockText(scene.time), slider = element("time");
  if (document.activeElement !== slider || playing) slider.value = scene.time;
  if (element("clock").textContent === text) return;
  slider.setAttribute("aria-valuetext", text);
  element("clock").textContent = text;
  element("hand").style.left = `${100 * scene.time / (DATA.seconds || 1)}%`;
}

function buildTimeline() {
  const slider = element("time"), still = DATA.seconds <= 0;
  const step = Math.max(0.1, niceStep(Math.max(1, DATA.seconds) / 500));
  slider.step = step;
  slider.max = Math.ceil(DATA.seconds / step) * step;
  for (const part of ["time", "play", "speed", "earlier", "later"]) element(part).disabled = still;
  slider.addEventListener("input", () => goTo(+slider.value));
  element("play").addEventListener("click", () => setPlaying(!playing));
  element("earlier").addEventListener("click", () => jump(-1));
  element("later").addEventListener("click", () => jump(1));
  for (const value of SPEEDS) element("speed").append(make("option", { value }, `${value} ×`));
  for (const [value, name] of TAILS) element("tail").append(make("option", { value }, name));
  setSpeed(DATA.seconds > 3600 ? 16 : DATA.seconds > 240 ? 4 : 1);
  element("tail").value = scene.tail;
  element("speed").addEventListener("change", event => { speed = +event.target.value; });
  element("tail").addEventListener("change", event => { scene.tail = +event.target.value; change(); });
  new ResizeObserver(drawActivity).observe(element("activity"));
}

// How many objects there were and how many stalls taken, over time; alarms and identities as marks.
function drawActivity() {
  const strip = element("activity"), ratio = devicePixelRatio || 1, { width, height } = strip.getBoundingClientRect();
  if (!width || DATA.seconds <= 0) return;
  [strip.width, strip.height] = [Math.round(width * ratio), Math.round(height * ratio)];
  const paint = strip.getContext("2d"), { palette } = scene, { objects, taken } = DATA.activity, most = Math.max(...objects, 1);
  paint.scale(ratio, ratio);
  const area = (values, colour, alpha) => {
    paint.beginPath();
    paint.moveTo(0, height);
    values.forEach((value, i) => paint.lineTo(i / (values.length - 1) * width, height - 2 - value / most * (height - 6)));
    paint.lineTo(width, height);
    paint.fillStyle = colour;
    paint.globalAlpha = alpha;
    paint.fill();
    paint.globalAlpha = 1;
  };
  area(objects, palette.muted, 0.25);
  area(taken, palette.taken, 0.4);
  for (const camera of DATA.cameras) for (const [start, end] of camera.alarms) {
    paint.fillStyle = palette.alarm;
    paint.fillRect(start / DATA.seconds * width, 0, Math.max(2, (end - start) / DATA.seconds * width), 3);
  }
  const marks = DATA.events.filter(([, kind]) => kind in IDENTITY && kind !== "born" && kind !== "gone");
  for (const [time] of marks.slice(0, 2000)) {
    paint.fillStyle = palette.ink;
    paint.fillRect(time / DATA.seconds * width - 0.75, height - 6, 1.5, 6);
  }
  strip.title = `Up to ${most} objects at a time${Math.max(...taken) ? `, ${Math.max(...taken)} stalls taken` : ""}`;
}
