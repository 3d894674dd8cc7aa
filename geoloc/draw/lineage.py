"""Who was what and when: a bar for each object's number over time, coloured by its life, and what became of whom.

The part of a page, see `page.py`; as a picture, see `lineage_picture.py`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from geoloc.draw.svg import text
from geoloc.draw.timeline import axis_of_times
from geoloc.draw.words import counted, duration_text, time_text
from geoloc.pipeline.answers import Phase
from geoloc.pipeline.lineage import Event

MOST_LANES = 80
MOST_TOLD = 200
LANE, FOOT = 22, 22  # px
NARROWEST = 0.25  # per cent of the width
LIVES = {
    "tentative": "a track that is not confirmed yet",
    "confirmed": "seen, on its way",
    "parked": "stands still",
    "hidden": "stands where no camera sees it",
    "out_of_sight": "lost from sight, looked for",
}
EVENTS = {  # and the outline (M x y x y ...) of its sign about its middle, px
    "born": ("new", "M0 -5 5 0 0 5 -5 0Z"),
    "recognised": ("recognised", "M-1.6 -5.5H1.6V-1.6H5.5V1.6H1.6V5.5H-1.6V1.6H-5.5V-1.6H-1.6Z"),
    "merged": ("merged", "M-5 -5 5 0 -5 5Z"),
    "split": ("split", "M5 -5 -5 0 5 5Z"),
    "undone": ("taken back", "M-5 -3 -3 -5 0 -2 3 -5 5 -3 2 0 5 3 3 5 0 2 -3 5 -5 3 -2 0Z"),
    "gone": ("left through an exit", "M-5 -5H5V5H-5Z"),
}


@dataclass(frozen=True)
class Lane:
    """What one number was from when to when, and what became of it."""

    number: int
    label: str
    phases: tuple[Phase, ...]
    events: tuple[Event, ...]

    @property
    def name(self) -> str:
        """Number and class."""
        return f"{self.number} {self.label}".strip()


def lanes(phases: Sequence[Phase], events: Sequence[Event]) -> list[Lane]:
    """A lane for each number that was there for sure, by when it came; what became another one lies below that."""
    became = {other: e.number for e in events if e.kind in ("recognised", "merged") for other in e.others}
    own: dict[int, list[Phase]] = {}
    for phase in phases:
        own.setdefault(phase.object, []).append(phase)
    start = {number: mine[0].start for number, mine in own.items()}

    def place(number: int) -> tuple[float, int, float]:
        head, met = number, {number}
        while became.get(head, head) not in met and became[head] in own:
            head = became[head]
            met.add(head)
        return start[head], head, start[number] if number != head else -float("inf")

    found = []
    for number in sorted(own, key=place):
        mine = [event for event in events if number == event.number or number in event.others]
        found.append(Lane(number, own[number][-1].label, tuple(own[number]), tuple(mine)))
    return found


def shown_lanes(phases: Sequence[Phase], events: Sequence[Event], most: int = MOST_LANES) -> tuple[list[Lane], int]:
    """At most so many lanes, those of which there is most to tell, and how many were left out."""
    every = lanes(phases, events)
    told = sorted(every, key=lambda lane: (-len(lane.events), lane.phases[0].start - lane.phases[-1].end))
    kept = {lane.number for lane in told[:most]}
    return [lane for lane in every if lane.number in kept], len(every) - len(kept)


def lineage_section(phases: Sequence[Phase], events: Sequence[Event]) -> str:
    """The section of a page: lanes over one axis of time, what their signs mean, and the events in words."""
    rows, left_out = shown_lanes(phases, events)
    if not rows:
        return ""
    start = min(phase.start for phase in phases)
    span = max(max(phase.end for phase in phases) - start, 1e-3)
    drawn = "".join(_lane(lane, start, span) for lane in rows)
    more = f"<p>{counted(left_out, 'number')} more, of which there is less to tell.</p>" if left_out else ""
    return (
        f'<section class="lineage" id="lineage" data-start="{start:.3f}" data-span="{span:.3f}" aria-label="Lineage">'
        f"<h2>Lineage</h2>{_legend(rows)}"
        f'<div class="lanes">{drawn}<span></span>'
        f'<svg height="{FOOT}">{axis_of_times(start, span)}</svg><i id="now" hidden></i></div>{more}'
        f'<ol class="told">{_told(events)}</ol></section>'
    )


def phase_text(lane: Lane, phase: Phase) -> str:
    """A phase in words."""
    span = f"{time_text(phase.start)} to {time_text(phase.end)}, {duration_text(phase.end - phase.start)}"
    return f"{lane.name}, {life_text(phase.life)}: {LIVES.get(phase.life, '')} · {span}"


def life_text(life: str) -> str:
    """A life for people."""
    return life.replace("_", " ")


def _lane(lane: Lane, start: float, span: float) -> str:
    bars = "".join(_bar(lane, phase, start, span) for phase in lane.phases)
    signs = "".join(_sign(event, start, span) for event in lane.events if event.kind in EVENTS)
    return (
        f'<button type="button" data-track="{lane.number}">{text(lane.name)}</button>'
        f'<svg height="{LANE}" data-track="{lane.number}">'
        f'<rect class="lane-paper" width="100%" height="{LANE}" rx="4"/>'
        f"{bars}{signs}</svg>"
    )


def _bar(lane: Lane, phase: Phase, start: float, span: float) -> str:
    width = max(100 * (phase.end - phase.start) / span, NARROWEST)
    left = min(100 * (phase.start - start) / span, 100 - width)
    return (
        f'<rect class="life life-{text(phase.life)}" x="{left:.2f}%" width="{width:.2f}%" y="4" height="{LANE - 8}" '
        f'data-tip="{text(phase_text(lane, phase))}"/>'
    )


def _sign(event: Event, start: float, span: float) -> str:
    at = min(max(100 * (event.time - start) / span, 0.0), 100.0)
    return (
        f'<svg x="{at:.2f}%" y="{LANE // 2}" class="sign" data-tip="{text(str(event))}">'
        f'<path d="{EVENTS[event.kind][1]}"/></svg>'
    )


def _legend(rows: Iterable[Lane]) -> str:
    """The lives and events that are there."""
    lives = {phase.life for lane in rows for phase in lane.phases}
    kinds = {event.kind for lane in rows for event in lane.events}
    items = [
        f'<li data-tip="{text(says)}"><svg viewBox="0 0 20 12">'
        f'<rect class="life life-{life}" width="20" height="12"/></svg>'
        f"{text(life_text(life))}</li>"
        for life, says in LIVES.items()
        if life in lives
    ]
    items += [
        f'<li><svg viewBox="-7 -7 14 14" class="sign"><path d="{sign}"/></svg>{text(name)}</li>'
        for kind, (name, sign) in EVENTS.items()
        if kind in kinds
    ]
    return f'<ul class="legend">{"".join(items)}</ul>'


def _told(events: Sequence[Event]) -> str:
    """What happened, in words; births only where there is room."""
    told = [event for event in events if event.kind != "born"] if len(events) > MOST_TOLD else list(events)
    items = [
        f'<li><svg viewBox="-7 -7 14 14" class="sign"><path d="{EVENTS[event.kind][1]}"/></svg>'
        f"<time>{text(time_text(event.time))}</time><span>{text(str(event))}</span></li>"
        for event in told[-MOST_TOLD:]
        if event.kind in EVENTS
    ]
    earlier = len(events) - len(items)
    note = f"<li><span>and {counted(earlier, 'event')} that are not listed</span></li>" if earlier else ""
    return "".join(items) + note
