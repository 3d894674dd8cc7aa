// What the page says: the next step, whether all is saved, the marks with their residuals, and how good it is.

function showHint() {
  const { pixel, point, place } = now.pending, hint = element("hint"), busy = pixel || point || place;
  const line = now.mode === "point" ? "" : now.drawing ? "Now click its other end" : LINE_KINDS[now.mode];
  const text = line ? line : pixel ? "Now click the same spot on the map" : point ? `Now click ${point} in the still` : place ? "Now click that spot in the still" : "";
  const buttons = [];
  if (pixel) buttons.push(make("button", { type: "button", id: "tie", onclick: () => askSpot(null) }, "Not on the map"));
  if (busy) buttons.push(make("button", { type: "button", onclick: giveUp }, "Cancel"));
  if (line) buttons.push(make("button", { type: "button", id: "done", onclick: () => setMode("point") }, "Done"));
  hint.replaceChildren(make("span", {}, text), ...buttons);
  hint.classList.toggle("busy", Boolean(busy || line));
  element("map-pane").classList.toggle("wanted", Boolean(pixel));
  element("still-pane").classList.toggle("wanted", Boolean(line || (!pixel && (point || place))));
}

function showSaved() {
  const saved = element("saved");
  saved.textContent = waiting ? "saving …" : failed ? "not saved" : `✓ saved in ${DATA.file.split("/").slice(-3).join("/")}`;
  saved.title = DATA.file;
  saved.classList.toggle("failed", failed && !waiting);
  element("reload").hidden = !failed || waiting > 0;
}

function showCameras() {
  const total = camera => (now.state.marks[camera.name] ?? []).length, select = element("camera");
  select.replaceChildren(...DATA.cameras.map((camera, i) => make("option", { value: String(i) }, `${camera.name} (${total(camera)})`)));
  select.value = String(now.index);
  element("undo").disabled = !now.state.undo;
  element("redo").disabled = !now.state.redo;
}

function showList() {
  const marks = now.marks(), list = element("list"), focused = document.activeElement?.dataset?.point;
  element("count").textContent = String(marks.length);
  const rows = marks.map(mark => {
    const { size, known, poor, chosen } = stateOf(mark), bar = make("i"), residual = now.residuals[mark.point];
    bar.style.width = known ? `${Math.min(100, 25 * size / mark.sigma)}%` : "0";
    const name = make("button", { type: "button", class: "point", "data-point": mark.point, title: mark.point, onclick: () => select(mark.point) }, mark.point);
    const sigma = make("input", {
      class: "sigma", type: "number", min: "0.1", max: "100", step: "0.5", value: String(mark.sigma), title: "Good to (px)", "aria-label": `Sigma of ${mark.point} in pixels`,
      onchange: event => event.target.checkValidity() && change({ action: "mark", camera: now.camera.name, point: mark.point, pixel: [mark.u, mark.v], sigma: Number(event.target.value) }),
    });
    const gone = make("button", { type: "button", class: "gone", title: "Remove this mark", "aria-label": `Remove mark ${mark.point}`, onclick: () => remove(mark.point) }, "✕");
    const text = known ? `${size.toFixed(size < 100 ? 2 : 0)} px${residual.used ? "" : " !"}` : "–";
    const why = now.wrong[mark.point] ?? (known && !residual.used ? "set aside as an outlier" : ""), title = why ? { title: why } : {};
    return make("li", { class: `${chosen ? "chosen" : ""} ${poor ? "poor" : ""}` }, name, make("span", { class: "bar" }, bar), make("span", { class: "size", ...title }, text), make("label", { title: "How well it is marked (px)" }, "± ", sigma), gone);
  });
  showLines();
  list.replaceChildren(...(rows.length ? rows : [make("li", { class: "empty" }, HELP)]));
  if (focused) [...list.querySelectorAll(".point")].find(button => button.dataset.point === focused)?.focus();
}

function metres(sigma) { return sigma < 1 ? `${(100 * sigma).toFixed(sigma < 0.1 ? 1 : 0)} cm` : `${sigma.toFixed(1)} m`; }

function factsOf(verdict) {
  const camera = verdict.camera, sigma = Math.max(...camera.sigma), known = sigma > 0, facts = [];
  const [middle, far] = verdict.ground ?? [];
  if (middle != null) facts.push(["Ground", `± ${metres(middle)}, nine tenths of it better than ${metres(far)}`]);
  if (verdict.freed?.length) facts.push(["Freed", verdict.freed.join(", ")]);
  facts.push(["Lens", `focal length ${camera.focal.toFixed(0)} px`]);
  facts.push(["Place", `${camera.x.toFixed(2)}, ${camera.y.toFixed(2)} m${known ? ` ± ${metres(Math.max(...camera.sigma.slice(0, 2)))}` : ""}`]);
  if (camera.height !== null) facts.push(["Height", `${camera.height.toFixed(2)} m over ground${known ? ` ± ${metres(camera.sigma[2])}` : ""}`]);
  return facts;
}

// The next mark in words; its place may be on a level that is not shown.
function nextStep(next) {
  const text = next.words || `Mark ${next.point || "the ringed spot"} next: it helps most.`, elsewhere = next.level !== now.level;
  const show = make("button", { type: "button", onclick: () => { setLevel(next.level); showVerdict(); } }, `Show it on ${DATA.levels[next.level].name}`);
  return make("p", {}, ...(elsewhere ? [`${text} `, show] : [text]));
}

function showVerdict() {
  const verdict = now.verdict, n = now.marks().length, rms = verdict?.rms ?? null, steps = [];
  element("rms").textContent = rms === null ? "–" : rms.toFixed(2);
  element("rms-unit").textContent = rms === null ? "no residuals yet" : "px rms";
  element("rms").parentElement.classList.toggle("poor", Object.keys(now.wrong).length > 0);
  let head = n || verdict ? verdict?.headline ?? "" : `Nothing is marked in ${now.camera.name} yet.`;
  if (verdict?.message) head = verdict.message;
  for (const [reason, step] of verdict?.refused ?? []) {
    head ||= reason;
    if (step) steps.push(`${step[0].toUpperCase()}${step.slice(1)}${step.endsWith(".") ? "" : "."}`);
  }
  const wrong = Object.entries(now.wrong).map(([name, why]) => make("p", {}, make("button", { type: "button", onclick: () => select(name) }, name), ` ${why}`));
  const notes = (verdict?.notes ?? []).map(note => make("p", {}, note)), told = steps.map(step => make("p", {}, step));
  if (verdict?.next) told.push(nextStep(verdict.next));
  const facts = verdict?.camera ? factsOf(verdict) : [];
  element("verdict-head").textContent = head;
  element("next-step").replaceChildren(...told);
  element("wrong").replaceChildren(...wrong);
  element("facts").replaceChildren(...facts.flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, value)]));
  element("notes").replaceChildren(...notes);
}

let fading = 0;
function toast(text) {
  const node = element("toast");
  node.textContent = text;
  node.hidden = false;
  clearTimeout(fading);
  fading = setTimeout(() => { node.hidden = true; }, 9000);
}
