// The lineage below the map: a line at the time that the map shows; a click on a lane shows its object then.

const lineage = document.getElementById("lineage");

function showLineage() {
  if (!lineage) return;
  const share = (DATA.start + scene.time - lineage.dataset.start) / lineage.dataset.span, line = element("now");
  const lane = lineage.querySelector(".lanes > svg"), there = share >= 0 && share <= 1;
  line.hidden = !there;
  line.style.left = `${lane.getBoundingClientRect().left - lineage.querySelector(".lanes").getBoundingClientRect().left + share * lane.clientWidth}px`;
  for (const button of lineage.querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(+button.dataset.track === scene.selected));
  }
}

function buildLineage() {
  if (!lineage) return;
  lineage.addEventListener("click", event => {
    const lane = event.target.closest("[data-track]");
    if (!lane) return;
    if (lane.tagName === "svg") {
      const box = lane.getBoundingClientRect(), share = (event.clientX - box.left) / box.width;
      const time = +lineage.dataset.start + share * lineage.dataset.span - DATA.start;
      scene.time = Math.max(0, Math.min(DATA.seconds, time));
    }
    select(+lane.dataset.track);
  });
  new ResizeObserver(change).observe(lineage);
}
