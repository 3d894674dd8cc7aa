"""The picture of an answer: drawn whatever is known of it, and refused nothing."""

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from geoloc.draw.answer_picture import draw_answer
from geoloc.retrieval.matches import Match, Matches, Reason
from geoloc.scene.site import Site
from geoloc.scene.sitemap import Level, SiteMap, Surface

SITE = Site("yard", (), SiteMap((Level("ground", (Surface(),)),), None))
MATCH = Match(
    "yard", 3, 3, 0.7, 0.9, 11, "gate", 1.7e9, "ground", (1.0, 2.0), 0.1, "car", "red", 4, (Reason("looks", 2.0, "so"),)
)
CROP = np.full((40, 90, 3), (30, 30, 220), np.uint8)


@pytest.mark.parametrize(
    "matches",
    [
        Matches((MATCH, replace(MATCH, object=4, probability=0.1, xy=(9.0, 2.0))), 0.15, 0.05, 40, "so"),
        Matches((replace(MATCH, object=-1, xy=(np.nan, np.nan), level="", time=np.nan, camera=""),), 0.3, 0.0, 1, "so"),
        Matches((), 1.0, 0.0, 0, "so"),
    ],
)
def test_an_answer_is_drawn_whatever_is_known_of_it(matches: Matches, tmp_path: Path) -> None:
    way = [("ground", np.array([[0.0, 0.0], [1.0, 2.0]]))] if len(matches) == 2 else []
    path = draw_answer(SITE, matches, tmp_path / "a.png", [CROP, CROP], [CROP, None][: len(matches)], way, dpi=60)
    picture = cv2.imread(str(path))
    assert picture is not None
    # taller with a map, and red where the crops are
    assert (picture.shape[0] > 0.5 * picture.shape[1]) == (len(matches) == 2)
    assert (np.abs(picture.astype(int) - [30, 30, 220]).max(axis=2) < 12).sum() > 500
