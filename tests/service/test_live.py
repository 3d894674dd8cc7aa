"""What is said while one marks: the calibration, what looks wrong, why it is refused, and the next mark."""

import threading

import numpy as np
import pytest
from marking_samples import plumb_lines, true_pixels

from geoloc.scene.known import Distances, ImageLines, Known, KnownCamera, KnownLens
from geoloc.scene.marks import Marks
from geoloc.scene.site import Site
from geoloc.service.live import live_calibration
from geoloc.service.marking import MarkingSession
from geoloc.service.marking_data import verdict_data
from geoloc.service.marking_state import Question
from geoloc.service.stills import find_stills

CAMERA = "p1-ramp-foot"
NOTHING = Known(Distances(), ImageLines())


@pytest.fixture
def fresh(site):
    """The garage before any camera is calibrated."""
    return Site(site.name, (), site.site_map)


def question(site, rng, n=12, swap=False, lines=None) -> Question:
    """Marks of n control points, 1 px off."""
    camera = site.camera(CAMERA)
    pixels = true_pixels(camera, site)
    names = [sorted(pixels)[i] for i in np.linspace(0, len(pixels) - 1, n).astype(int)]
    at = np.array([pixels[name] for name in names]).reshape(-1, 2) + rng.normal(size=(n, 2))
    if swap:
        at[[1, 4]] = at[[4, 1]]
    marks = Marks(camera=[CAMERA] * n, point=names, pixel=at)
    return Question(CAMERA, camera.size, marks, site.site_map.control_points, lines or ImageLines())


def test_a_camera_is_found_with_what_was_freed_and_the_next_mark(site, fresh, rng):
    asked = question(site, rng)
    found = live_calibration(fresh, NOTHING)(asked)
    (camera,) = found.solution.cameras
    assert np.linalg.norm(camera.centre_world - site.camera(CAMERA).centre_world) < 1.0  # m; measured: 0.29
    assert found.freed[:2] == ("pose", "f")
    assert found.headline == "12 marks confirm each other."
    assert found.wrong == {}
    assert 0 < found.ground_m[0] <= found.ground_m[1] < 2.0
    following = found.next_mark
    assert following.point not in asked.marks.point.tolist()
    place = next(point.xyz for point in asked.points if point.name == following.point)
    assert following.xyz == place
    np.testing.assert_allclose(following.pixel, camera.project(np.array([place]))[0])


def test_the_mark_that_is_named_next_does_sharpen_the_ground(site, fresh, rng):
    solve, asked = live_calibration(fresh, NOTHING), question(site, rng, 8)
    before = solve(asked)
    pixel = true_pixels(site.camera(CAMERA), site)[before.next_mark.point]
    more = Marks(camera=[CAMERA], point=[before.next_mark.point], pixel=[pixel])
    marks = Marks.concat([asked.marks, more])
    after = solve(Question(CAMERA, asked.size, marks, asked.points))
    assert after.ground_m[0] < before.ground_m[0]


def test_swapped_marks_are_named_and_why(site, fresh, rng):
    asked = question(site, rng, swap=True)
    found = live_calibration(fresh, NOTHING)(asked)
    swapped = asked.marks.point[[1, 4]].tolist()
    assert set(found.wrong) == set(swapped)
    assert f"it looks swapped with that of {swapped[1]!r}" in found.wrong[swapped[0]]
    assert found.headline.startswith("2 of 12 marks look wrong")
    assert not any("is wrong" in note for note in found.solution.notes)


def test_too_few_marks_are_refused_with_the_next_step(site, fresh, rng):
    found = live_calibration(fresh, NOTHING)(question(site, rng, 3))
    assert found.solution.cameras == ()
    assert found.headline.startswith("Not calibrated: 3 marks")
    (refused,) = found.solution.refused
    assert "mark 2 more points, first in" in refused.next_step
    none = live_calibration(fresh, NOTHING)(question(site, rng, 0))
    assert "points, all over the still" in none.solution.refused[0].next_step


def test_marks_are_held_against_the_present_camera_where_they_give_no_new_one(site, rng):
    asked = question(site, rng, 3)
    far = asked.marks.pixel.copy()
    far[0] += [40.0, 0.0]
    asked = Question(CAMERA, asked.size, asked.marks.replace(pixel=far), asked.points)
    found = live_calibration(site, NOTHING)(asked)
    assert found.present
    assert found.solution.cameras == (site.camera(CAMERA),)
    assert found.solution.residual[0, 0] == pytest.approx(40.0, abs=4.0)
    assert list(found.wrong) == [asked.marks.point[0]]
    assert found.headline.endswith("Shown is the present one.")
    assert found.next_mark.point not in asked.marks.point.tolist()


def test_a_known_lens_is_used_for_stills_of_its_size_alone(site, fresh, rng):
    lens, asked = site.camera(CAMERA).lens, question(site, rng)
    for size, freed in ((asked.size, ("pose",)), ((640, 360), ("pose", "f"))):
        known = Known(Distances(), ImageLines(), (KnownCamera(CAMERA, lens="dome"),), (KnownLens("dome", lens, size),))
        assert live_calibration(fresh, known)(asked).freed[:2] == freed


def test_tie_points_are_told_in_one_line_with_what_looks_mistyped(site, fresh, rng):
    asked = question(site, rng)
    names = ["T1", "T2", "ramp fot", "T3"]
    ties = Marks(camera=[CAMERA] * 4, point=names, pixel=rng.uniform(100, 900, (4, 2)))
    found = live_calibration(fresh, NOTHING)(
        Question(CAMERA, asked.size, Marks.concat([asked.marks, ties]), asked.points)
    )
    assert found.headline == "12 of 16 marks confirm each other."
    told = [note for note in found.solution.notes if "T1" in note]
    assert len(told) == 1
    assert "only when all cameras are calibrated together: T1, T2, ramp fot, ..." in told[0]
    assert any("did you mean 'ramp foot'?" in note for note in found.solution.notes)


def test_a_leaning_plumb_line_is_told(site, fresh, rng):
    lines = plumb_lines(site.camera(CAMERA), ((40.0, 12.0, 0.0), (44.0, 20.0, 0.0)))
    lines = lines.replace(end=lines.end + np.array([[0.0, 0.0], [6.0, 0.0]]))
    found = live_calibration(fresh, NOTHING)(question(site, rng, lines=lines))
    straight, leaning = np.degrees(found.turned)
    assert straight < 1.0 < leaning  # degrees; measured: 0.07 and 4.2


def test_saving_never_waits_for_the_solver_and_old_questions_are_dropped(site, stills, tmp_path):
    running, release, asked = threading.Event(), threading.Event(), []

    def slow(question):
        asked.append(len(question.marks))
        running.set()
        release.wait(30)
        return live_calibration(site, NOTHING)(question)

    session = MarkingSession(site, find_stills(stills), tmp_path, slow)
    threads = [threading.Thread(target=session.solve, args=(CAMERA,)) for _ in range(4)]
    threads[0].start()
    assert running.wait(5)
    for i in range(3):
        session.mark(CAMERA, f"tie {i}", (10.0 + i, 20.0), 1.0)
    assert threads[0].is_alive()  # all is saved, and it is still being solved
    for thread in threads[1:]:
        thread.start()
    release.set()
    for thread in threads:
        thread.join(10)
    assert asked == [0, 3]  # three that waited share one answer, about the newest marks
    revision, verdict = session.solve(CAMERA)
    assert revision == session.revision
    assert verdict_data(session, CAMERA, verdict)["headline"]
