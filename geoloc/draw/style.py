"""The look of every picture and page: colours, sizes and widths in one place."""

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Palette:
    """Colours (#rrggbb) by what they mean. Cycles (`zones`, `markers`, `tracks`) wrap around; `heat` ascends."""

    paper: str  # around the map
    panel: str  # cards and controls of the page
    ground: str  # where one can stand
    outside: str  # within the picture, off every surface
    ink: str
    muted: str
    grid: str
    edge: str
    stall: str
    wall: str
    pillar: str
    camera: str
    footprint: str
    control: str
    accent: str
    alarm: str  # something is wrong
    free: str  # a stall
    taken: str
    zones: tuple[str, ...]
    markers: tuple[str, ...]
    tracks: tuple[str, ...]
    heat: tuple[str, ...]  # from little to much: ever farther from the background, whoever sees colours how

    def track(self, track: int) -> str:
        """Colour of a track: the same id has the same colour in every picture."""
        return self.tracks[track % len(self.tracks)]


LIGHT = Palette(
    paper="#f4f5f7",
    panel="#ffffff",
    ground="#ffffff",
    outside="#eceef2",
    ink="#1d2733",
    muted="#5f6b7a",
    grid="#e4e8ed",
    edge="#b4bdc9",
    stall="#c2cad4",
    wall="#485465",
    pillar="#8390a0",
    camera="#33507d",
    footprint="#5f83ba",
    control="#9a5b24",
    accent="#2f62a8",
    alarm="#c8322b",
    free="#2c8a63",
    taken="#d4572f",
    zones=("#e3e9f1", "#dcefe2", "#f8edd6", "#efe2f2", "#d9eef1"),
    markers=("#36404d", "#d61f8c", "#0b7a75", "#8a6d00"),
    tracks=(
        "#2b6cb0", "#d4572f", "#2c8a63", "#8552bd", "#bf8010", "#bd3f78",
        "#1f8fa3", "#7b5f42", "#5b861b", "#4c57cf", "#a83240", "#45707f",
    ),
    heat=("#cfdff0", "#93b8dd", "#7190cf", "#8f62b3", "#b93a8a", "#cd2c55", "#8c1220"),
)  # fmt: skip

DARK = Palette(
    paper="#12161c",
    panel="#1b212a",
    ground="#212934",
    outside="#171c23",
    ink="#e7ebf0",
    muted="#98a4b3",
    grid="#2c3541",
    edge="#4b5766",
    stall="#445060",
    wall="#a9b4c2",
    pillar="#78869a",
    camera="#a9c4ee",
    footprint="#6f97d6",
    control="#dd9f63",
    accent="#7fb0f5",
    alarm="#ff6b5e",
    free="#5cc79a",
    taken="#f2875f",
    zones=("#28354a", "#263d36", "#3d3729", "#382d42", "#243c43"),
    markers=("#d5dbe3", "#ff7ac3", "#3fd0c4", "#d9bb3f"),
    tracks=(
        "#6aa9f0", "#f2875f", "#5cc79a", "#b58ae8", "#e6b04c", "#ec7fb0",
        "#58c4d8", "#c2a17e", "#9dcb55", "#929bf7", "#ee7a86", "#8bbac9",
    ),
    heat=("#31465f", "#40689b", "#6878c8", "#9f74cc", "#dc75b0", "#ff9687", "#ffd796"),
)  # fmt: skip

FONT = "DejaVu Sans"  # comes with matplotlib: the same picture on every machine
TITLE_PT, SUBTITLE_PT, PANEL_PT, LABEL_PT, SMALL_PT, STALL_PT = 16.0, 9.5, 10.5, 8.0, 6.8, 5.2
PATH_PT, ELLIPSE_PT, OUTLINE_PT, WALL_PT, HALO_PT = 1.8, 1.0, 0.7, 2.0, 2.2
FADED = 0.28  # share of its colour that the oldest part of a path keeps
ELLIPSE_ALPHA = 0.16
FOOTPRINT_ALPHAS = (0.03, 0.09, 0.2)  # least and most of one footprint, and about that of all together


def blend(colour: str, background: str, share: float) -> str:
    """`share` of `colour` over `background`, all #rrggbb."""
    pairs = zip(_channels(colour), _channels(background), strict=True)
    return "#" + "".join(f"{round(share * a + (1 - share) * b):02x}" for a, b in pairs)


def css_variables(palette: Palette) -> str:
    """The palette as CSS custom properties; a cycle becomes --name-0, --name-1, ..."""
    lines = []
    for field in fields(palette):
        value = getattr(palette, field.name)
        named = {field.name: value} if isinstance(value, str) else {
            f"{field.name}-{i}": colour for i, colour in enumerate(value)
        }  # fmt: skip
        lines += [f"--{name}: {colour};" for name, colour in named.items()]
    return " ".join(lines)


def _channels(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[i : i + 2], 16) for i in (1, 3, 5))
