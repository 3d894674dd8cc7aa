"""The recordings that `tools/accuracy.py` can run: one module each, `run(folder)` makes its figures."""

from collections.abc import Callable
from pathlib import Path

from geoloc.evaluation.report import Figure
from recordings import brnocompspeed, cityflow, cmc, meva, multiviewx, sped, wildtrack

RECORDINGS: dict[str, Callable[[Path], list[Figure]]] = {
    "wildtrack": wildtrack.run,
    "multiviewx": multiviewx.run,
    "meva": meva.run,
    "cityflow": cityflow.run,
    "cmc": cmc.run,
    "brnocompspeed": brnocompspeed.run,
    "sped": sped.run,
}
