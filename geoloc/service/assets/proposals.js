// Stalls that a survey proposes: shown on the map one by one, accepted or rejected.

const proposed = { index: 0 };

function proposals() { return now.state.proposals ?? []; }

function currentProposal() { return proposals()[Math.min(proposed.index, proposals().length - 1)] ?? null; }

// What the server says of stalls: the map's own, and those that are not decided.
function takeProposals(state) {
  if (!state.proposals) return;
  state.stalls.forEach((stalls, level) => { DATA.levels[level].stalls = stalls; });
  proposed.index = Math.max(0, Math.min(proposed.index, state.proposals.length - 1));
  showProposals();
}

function showProposals() {
  const all = proposals(), one = currentProposal();
  element("proposals").hidden = !now.state.proposals;
  element("proposal-steps").hidden = !one;
  element("proposal-back").disabled = !now.state.take_back;
  element("proposal-said").textContent = one
    ? `Stall ${one.name}: ${Math.round(100 * one.confidence)} % sure, ± ${one.sigma.toFixed(2)} m · ${all.length} to decide`
    : "Every proposed stall is decided.";
}

function showProposal(step) {
  const all = proposals();
  if (!all.length) return;
  proposed.index = (proposed.index + step + all.length) % all.length;
  const one = currentProposal();
  if (one.level !== now.level) setLevel(one.level);
  showProposals();
  repaint();
}

async function decide(action) {
  const one = currentProposal();
  if (one && await change({ action, stall: one.name })) showProposal(0);
}

function paintProposals(context, view) {
  const one = currentProposal();
  for (const each of proposals()) {
    if (each.level !== now.level) continue;
    const chosen = each === one, outline = path(view, each.rings), sure = each.confidence >= 0.8;
    const colour = sure ? "#1f9d55" : each.confidence >= 0.5 ? "#c77d0a" : "#cd2c55";
    fill(context, outline, colour, chosen ? 0.38 : 0.12);
    context.setLineDash(chosen ? [] : [5, 4]);
    stroke(context, colour, chosen ? 3 : 1.4, outline);
    context.setLineDash([]);
  }
}

function proposalAt(x, y) {
  const inside = ring => {
    let odd = false;
    for (let i = 0, j = ring.length - 2; i < ring.length; j = i, i += 2) {
      const [ax, ay, bx, by] = [ring[i], ring[i + 1], ring[j], ring[j + 1]];
      if (ay > y !== by > y && x < (bx - ax) * (y - ay) / (by - ay) + ax) odd = !odd;
    }
    return odd;
  };
  return proposals().findIndex(each => each.level === now.level && inside(each.rings[0]));
}

function startProposals() {
  element("proposal-before").addEventListener("click", () => showProposal(-1));
  element("proposal-after").addEventListener("click", () => showProposal(1));
  element("proposal-yes").addEventListener("click", () => decide("accept"));
  element("proposal-no").addEventListener("click", () => decide("reject"));
  element("proposal-back").addEventListener("click", () => change({ action: "take_back" }));
}
