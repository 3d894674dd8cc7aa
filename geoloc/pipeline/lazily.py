"""A module that is imported when something of it is first used: kernels bring numba, which takes a second to load."""

from importlib import import_module
from typing import Any


class Lazily:
    """Stands for the module of that name."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        value = getattr(import_module(self._name), attribute)
        self.__dict__[attribute] = value  # from now on found without coming here
        return value


KERNELS = "geoloc.pipeline.kernels"
bodies = Lazily(f"{KERNELS}.bodies")
clock_evidence = Lazily(f"{KERNELS}.clock_evidence")
clock_solving = Lazily(f"{KERNELS}.clock_solving")
clock_votes = Lazily(f"{KERNELS}.clock_votes")
clock_windows = Lazily(f"{KERNELS}.clock_windows")
clusters = Lazily(f"{KERNELS}.clusters")
decisions = Lazily(f"{KERNELS}.decisions")
edges = Lazily(f"{KERNELS}.edges")
filters = Lazily(f"{KERNELS}.filters")
fusing = Lazily(f"{KERNELS}.fusing")
hits = Lazily(f"{KERNELS}.hits")
identities = Lazily(f"{KERNELS}.identities")
learning = Lazily(f"{KERNELS}.learning")
lens = Lazily(f"{KERNELS}.lens")
levels = Lazily(f"{KERNELS}.levels")
link_odds = Lazily(f"{KERNELS}.link_odds")
motion = Lazily(f"{KERNELS}.motion")
nearest = Lazily(f"{KERNELS}.nearest")
nodes = Lazily(f"{KERNELS}.nodes")
odds = Lazily(f"{KERNELS}.odds")
offsets = Lazily(f"{KERNELS}.offsets")
overlaps = Lazily(f"{KERNELS}.overlaps")
reporting = Lazily(f"{KERNELS}.reporting")
resting = Lazily(f"{KERNELS}.resting")
sight = Lazily(f"{KERNELS}.sight")
sizes = Lazily(f"{KERNELS}.sizes")
small = Lazily(f"{KERNELS}.small")
solving = Lazily(f"{KERNELS}.solving")
surfaces = Lazily(f"{KERNELS}.surfaces")
tracks = Lazily(f"{KERNELS}.tracks")
walls = Lazily(f"{KERNELS}.walls")
ways = Lazily(f"{KERNELS}.ways")
