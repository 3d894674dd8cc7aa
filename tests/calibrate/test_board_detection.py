"""Boards in pictures: corners lie where they are, and what is no board is refused by name."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from board_samples import CHARUCO, CHESS, LENS, SIZE, board_pose, render

from geoloc.calibrate.board_detection import detect_boards
from geoloc.calibrate.boards import Board
from geoloc.errors import InputError, UnknownNameError

MIDDLE = (480, 320)


def shown(board=CHESS, pixel=MIDDLE, distance=0.5, tilt=(20, -15, 5), rng=None, lens=LENS, size=SIZE):
    pose = board_pose(lens, pixel, distance, tilt, board)
    return pose, render(pose, board, lens, size, rng)


@pytest.mark.parametrize("turn", [0, 90, 180, 270, 33])
def test_chessboard_corners_lie_where_they_are_however_it_is_turned(turn, rng) -> None:
    pose, picture = shown(tilt=(25, -20, turn), rng=rng)
    found = detect_boards([("a", picture)], CHESS, "gate")
    truth = LENS.project(pose.apply(CHESS.points))
    same, upside_down = (np.linalg.norm(found.corners.pixel - t, axis=1) for t in (truth, truth[::-1]))
    # never mirrored: only half a turn may be mistaken
    assert min(same.max(), upside_down.max()) < 0.15  # 0.05 px
    assert found.size == SIZE


def test_charuco_corners_of_half_a_board_have_their_numbers(rng) -> None:
    pose, picture = shown(CHARUCO, pixel=(40, 300), tilt=(15, 20, 10), rng=rng)
    found = detect_boards([("a", picture)], CHARUCO).corners
    truth = LENS.project(pose.apply(CHARUCO.points))[found.corner]
    assert 8 <= len(found) < len(CHARUCO.points)
    assert np.linalg.norm(found.pixel - truth, axis=1).max() < 0.2  # 0.1 px


def test_white_on_black_is_a_board_too(rng) -> None:
    _, picture = shown(CHARUCO, rng=rng)
    found = detect_boards([("a", 255 - picture)], CHARUCO).corners
    assert len(found) == len(CHARUCO.points)


def test_colour_is_read_as_grey(rng) -> None:
    _, picture = shown(rng=rng)
    grey, colour = (detect_boards([("a", p)], CHESS).corners for p in (picture, np.dstack([picture] * 3)))
    assert np.abs(grey.pixel - colour.pixel).max() < 0.01


def test_blurred_and_empty_pictures_are_refused_by_name(rng) -> None:
    _, picture = shown(rng=rng)
    blurred = cv2.GaussianBlur(picture, (0, 0), 9)
    empty = np.full_like(picture, 90)
    found = detect_boards([("good", picture), ("shaken", blurred), ("empty", empty)], CHESS)
    reasons = {refused.view: refused.reason for refused in found.refused}
    assert set(reasons) == {"shaken", "empty"}
    assert "no whole board of 8 x 5" in reasons["empty"]
    assert "blurred" in reasons["shaken"] or "no whole board" in reasons["shaken"]
    assert set(found.corners.view) == {"good"}


def test_edges_that_rise_over_half_a_square_are_called_blurred(rng) -> None:
    _, picture = shown(distance=0.9, tilt=(5, 5, 5), rng=rng)
    blurred = [(f"blur {sigma}", cv2.GaussianBlur(picture, (0, 0), sigma)) for sigma in (1, 2, 3, 4, 5, 6)]
    refused = detect_boards([("sharp", picture), *blurred], CHESS).refused
    assert "blur 1" not in {view.view for view in refused}
    assert any("blurred: its edges rise over" in view.reason for view in refused)


@pytest.mark.parametrize(("columns", "rows"), [(7, 5), (5, 7), (9, 6)])
def test_a_board_of_another_size_is_named(columns, rows, rng) -> None:
    pictures = [(str(i), shown(tilt=(5 * i, -5, 10), rng=rng)[1]) for i in range(3)]
    with pytest.raises(InputError, match="5 x 8"):
        detect_boards(pictures, replace(CHESS, columns=columns, rows=rows))


def test_pictures_of_several_sizes_are_refused(rng) -> None:
    _, picture = shown(rng=rng)
    with pytest.raises(InputError, match=r"960x640 \(1, such as 'a'\), 640x960 \(1, such as 'turned'\)"):
        detect_boards([("a", picture), ("turned", picture.T)], CHESS)


def test_nothing_to_see_is_told() -> None:
    with pytest.raises(InputError, match="no pictures"):
        detect_boards([], CHESS)
    with pytest.raises(InputError, match="count the corners where four squares meet"):
        detect_boards([("a", np.zeros((480, 640), np.uint8))], CHESS)
    with pytest.raises(InputError, match="check size and dictionary"):
        detect_boards([("a", np.zeros((480, 640), np.uint8))], CHARUCO)
    with pytest.raises(InputError, match="float64"):
        detect_boards([("a", np.zeros((480, 640)))], CHESS)


@pytest.mark.parametrize(
    ("kind", "sides", "square", "marker", "match"),
    [
        ("chess", (8, 5), 0.04, 0, "unknown board 'chess'"),
        ("chessboard", (8, 1), 0.04, 0, "each side needs 2"),
        ("chessboard", (8, 5), 40.0 * 25, 0, "side of one square in metres"),
        ("chessboard", (8, 5), float("nan"), 0, "side of one square in metres"),
        ("charuco", (8, 5), 0.04, 0.05, "must be smaller than the squares"),
    ],
)
def test_impossible_boards_are_refused(kind, sides, square, marker, match) -> None:
    with pytest.raises(InputError, match=match):
        Board(kind, *sides, square, marker)


def test_unknown_and_small_dictionaries_are_refused() -> None:
    picture = [("a", np.zeros((480, 640), np.uint8))]
    with pytest.raises(UnknownNameError, match="DICT_4X4_50"):
        detect_boards(picture, replace(CHARUCO, dictionary="DICT_4X4_5"))
    with pytest.raises(InputError, match="DICT_4X4_50 has 50"):
        detect_boards(picture, replace(CHARUCO, columns=15, rows=15))
