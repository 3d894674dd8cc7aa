"""Questions that are asked with a picture, answered in a process of their own: neither the engine nor the door waits.

A picture is looked at before it is unpacked: its kind, and how many pixels it would have. A picture that kills the
process that looks at it kills nothing else.
"""

import asyncio
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache, partial
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from geoloc.errors import InputError
from geoloc.io.pictures import is_cut_short
from geoloc.scene.site import Site
from geoloc.service.serve.engine import BusyError, UnavailableError
from geoloc.service.serve.options import ServeOptions
from geoloc.service.serve.said import Json, plain

KINDS = {"image/jpeg": "JPEG", "image/png": "PNG"}
SEED = 1


@dataclass(frozen=True)
class PlaceAsked:
    """What is known of a picture whose place is asked for: its lens by a camera's name, its height (m) over the map."""

    camera: str = ""
    height: float | None = None
    height_sigma: float = 0.3


class PictureDesk:
    """One process that answers one question after the other; so many may wait."""

    def __init__(self, options: ServeOptions) -> None:
        self._options = options
        self._waiting = 0
        self._pool: ProcessPoolExecutor | None = None

    async def ask(self, question: Callable[[], Json]) -> Json:
        """The answer; BusyError where too many wait, UnavailableError where it took too long or killed the process."""
        if self._waiting >= self._options.max_questions:
            raise BusyError(f"{self._waiting} pictures are being looked at; send the same again in a moment")
        self._waiting += 1
        try:
            if self._pool is None:
                self._pool = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))
            pool = self._pool
            async with asyncio.timeout(self._options.question_s):
                return await asyncio.get_running_loop().run_in_executor(pool, question)
        except TimeoutError as error:
            self.close()
            raise UnavailableError(f"no answer within {self._options.question_s:g} s") from error
        except BrokenProcessPool as error:
            self.close()
            raise UnavailableError("the picture could not be looked at; send another one") from error
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """End the process, whatever it does; the next question gets a new one."""
        pool, self._pool = self._pool, None
        if pool is not None:
            for process in list((pool._processes or {}).values()):
                process.kill()
            pool.shutdown(wait=False, cancel_futures=True)


def place_question(site: Site, landmarks: Path, data: bytes, asked: PlaceAsked, most: int) -> Callable[[], Json]:
    """Where a picture was taken, by a site's landmarks."""
    return partial(_place, site, landmarks, data, asked, most)


def search_question(site: Site, gallery: Path, state: Path, data: bytes, k: int, most: int) -> Callable[[], Json]:
    """Which object a picture shows, by a site's gallery, and where it is by its state."""
    return partial(_search, site, gallery, state, data, k, most)


# ---- in the process


def decoded(data: bytes, most: int, colours: bool) -> np.ndarray:
    """A picture's grey values (H, W) as the sensor saw them, or its colours (H, W, 3) BGR; InputError where it is none.

    Not unpacked where it would have more than `most` pixels.
    """
    import cv2
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(BytesIO(data), formats=tuple(KINDS.values())) as head:
            width, height = head.size
    except Image.DecompressionBombError as error:
        raise InputError(f"the picture has far too many pixels; at most {most} px are taken") from error
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError) as error:
        raise InputError("the body is no JPEG or PNG picture") from error
    if width * height > most:
        raise InputError(f"the picture has {width} x {height} px; at most {most} px are taken")
    if is_cut_short(data):
        raise InputError("the picture is cut short: its end is missing")
    flags = cv2.IMREAD_COLOR if colours else cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION
    found = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if found is None:
        raise InputError("the picture is damaged")
    return np.asarray(found)


def _place(site: Site, path: Path, data: bytes, asked: PlaceAsked, most: int) -> Json:
    from geoloc.features.extraction import extract
    from geoloc.relocalize.estimate import PoseEstimate
    from geoloc.relocalize.picture_check import picture_fault
    from geoloc.relocalize.pose_knowledge import Knowledge
    from geoloc.relocalize.relocalization import Query, relocalize
    from geoloc.relocalize.told import plain_estimate

    grey, landmarks = decoded(data, most, colours=False), _landmarks(path, path.stat().st_mtime_ns)
    fault, size = picture_fault(grey), (int(grey.shape[1]), int(grey.shape[0]))
    if fault:
        return plain(plain_estimate(PoseEstimate((), fault), len(landmarks.cameras)))
    known = Knowledge()
    if asked.height is not None:
        known = Knowledge(plane=(0.0, 0.0, asked.height), plane_sigma=asked.height_sigma)
    lens = site.camera(asked.camera) if asked.camera else None
    query = Query(extract(grey), size, lens, known)
    found = relocalize(query, landmarks, np.random.default_rng(SEED), site_map=site.site_map)
    return plain(plain_estimate(found, len(landmarks.cameras)))


@lru_cache(maxsize=4)
def _landmarks(path: Path, changed: int) -> Any:
    from geoloc.relocalize.landmark_storage import load_landmarks

    return load_landmarks(path, mapped=True)


def _search(site: Site, folder: Path, state: Path, data: bytes, k: int, most: int) -> Json:
    from geoloc.pipeline.stored_state import load_state
    from geoloc.pipeline.whereabouts import whereabouts
    from geoloc.retrieval.gallery import Gallery

    crop = decoded(data, most, colours=True)
    with Gallery.open(folder) as gallery:
        matches = gallery.search([crop], k)
    found = whereabouts(matches, load_state(site, state), site.name)
    return {
        "not_here": matches.not_here,
        "unlisted": matches.unlisted,
        "objects_searched": matches.n_objects,
        "matches": plain(list(matches)),
        "whereabouts": plain(list(found)),
    }
