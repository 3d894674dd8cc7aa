"""A synthetic garage whose cars drive now: what `geoloc serve --demo` shows."""

import asyncio
import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import numpy as np

from geoloc.errors import GeolocError
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections
from geoloc.service.serve.engine import LiveEngine
from geoloc.service.serve.heard import NO_ID
from geoloc.service.serve.sender import batches_of
from geoloc.synthetic.garage import garage
from geoloc.synthetic.sensor import observe_parts
from geoloc.synthetic.simulate import simulate

SECONDS = 120.0  # of a drive; then another one begins
BATCH_S = 0.1
READY_S = 0.1

logger = logging.getLogger(__name__)


def demo_site() -> Site:
    """The garage as it was calibrated."""
    return garage().site


async def feed(engine: LiveEngine, seed: int = 1) -> None:
    """What the garage's cameras see from now on, until this is cancelled or the engine stops."""
    while not engine.ready.is_set() and not engine.failure:
        await asyncio.sleep(READY_S)
    drives = _drives(seed)
    seen = await asyncio.to_thread(next, drives)
    while engine.working:
        following = asyncio.create_task(asyncio.to_thread(next, drives))
        await _play(engine, seen)
        seen = await following


def _drives(seed: int) -> Iterator[Detections]:
    """Boxes of one drive after the other, by the same cameras."""
    world = garage()
    traffic = replace(world.traffic, duration=SECONDS)
    truths = (simulate(world, np.random.default_rng((seed, part)), traffic) for part in count())
    for seen in observe_parts(world, truths, np.random.default_rng(seed)):
        yield seen.detections.replace(id=np.full(len(seen.detections), NO_ID))


async def _play(engine: LiveEngine, seen: Detections) -> None:
    """Hand it in at the pace at which it was seen, as if that were now."""
    seen = seen.replace(time=seen.time + (time.time() - float(seen.time.min())))
    for until, batch in batches_of(seen, BATCH_S):
        await asyncio.sleep(max(until - time.time(), 0.0))
        try:
            engine.submit(batch)
        except GeolocError as error:
            logger.info("demo: %s", error)
