"""A marking session: saved at every change, and nothing of others is ever lost."""

from dataclasses import replace

import numpy as np
import pytest
from marking_samples import garage_site, pose_fit, true_pixels

from geoloc.errors import InputError, UnknownNameError
from geoloc.io.known import read_lines
from geoloc.service.marking import MarkingSession
from geoloc.service.marking_data import site_data, state_data, verdict_data
from geoloc.service.marking_state import DrawnLine, Spot
from geoloc.service.stills import find_stills

CAMERA, OTHER = "p1-ramp-foot", "p2-southeast"
OLD_LINE = f"{CAMERA},plumb,10,20,12,99,4\n"


def marks_text(session):
    return (session.folder / "marks.csv").read_text()


def test_a_mark_is_in_the_file_at_once_and_moving_it_keeps_its_row(session):
    session.mark(CAMERA, "ramp foot", (10.5, 20.25), 1.0)
    session.mark(CAMERA, "ramp head", (30.0, 40.0), 2.0)
    session.mark(CAMERA, "ramp foot", (11.0, 21.0), 1.0)
    assert marks_text(session) == (
        "camera,point,u,v,sigma\np1-ramp-foot,ramp foot,11.0,21.0,1.0\np1-ramp-foot,ramp head,30.0,40.0,2.0\n"
    )


def test_marks_of_cameras_without_a_still_stay(site, stills, tmp_path):
    (tmp_path / "marks.csv").write_text("camera,point,u,v\ngone,ramp foot,1,2\n")
    session = MarkingSession(site, find_stills(stills), tmp_path, pose_fit(site))
    session.mark(CAMERA, "ramp foot", (10.0, 20.0), 1.0)
    assert "gone,ramp foot,1.0,2.0,1.0" in marks_text(session)


def test_rows_that_saving_would_drop_keep_the_session_from_starting(site, stills, tmp_path):
    (tmp_path / "marks.csv").write_text("camera,point,u,v\ngate,a,1,2\ngate,b,x,2\n")
    with pytest.raises(InputError, match=r"u or v is no finite number \(line 3\); mend it first"):
        MarkingSession(site, find_stills(stills), tmp_path, pose_fit(site))


def test_a_change_that_cannot_be_saved_is_not_made(session):
    session.mark(CAMERA, "ramp foot", (10.0, 20.0), 1.0)
    (session.folder / "marks.csv").write_text("camera,point,u,v\n")
    with pytest.raises(InputError, match="another program has changed it"):
        session.mark(CAMERA, "ramp head", (30.0, 40.0), 1.0)
    assert session.state.marks.point.tolist() == ["ramp foot"]
    session.reload()
    assert len(session.state.marks) == 0


def test_a_new_point_lies_on_its_level_and_goes_with_its_marks(session):
    session.mark(CAMERA, "kerb", (10.0, 20.0), 1.0, Spot(52.0, 24.0, "P2", 0.5, 0.3, 0.05))
    session.mark(OTHER, "kerb", (30.0, 40.0), 1.0)
    (point,) = session.state.points
    assert point.xyz == pytest.approx((52.0, 24.0, 2.0))  # half way up the ramp, 0.5 m over it
    with pytest.raises(InputError, match="a control point 'kerb' already"):
        session.mark(CAMERA, "kerb", (1.0, 2.0), 1.0, Spot(1.0, 1.0, "P1", 0.0, 0.3, 0.05))
    session.remove_point("kerb")
    assert (len(session.state.marks), session.state.points) == (0, ())
    session.undo()
    assert (len(session.state.marks), len(session.state.points)) == (2, 1)
    with pytest.raises(UnknownNameError, match="ramp foot"):
        session.remove_point("ramp foot")


def test_a_point_on_the_map_and_beside_it_is_refused(site, stills, tmp_path):
    (tmp_path / "points.csv").write_text("point,x,y,z\nramp foot,1,2,0\n")
    with pytest.raises(InputError, match="'ramp foot' is on the map too"):
        MarkingSession(site, find_stills(stills), tmp_path, pose_fit(site))


def test_a_line_is_in_the_file_at_once_and_keeps_its_row_when_it_is_moved(session):
    plumb = DrawnLine(CAMERA, "plumb", (10.0, 20.0), (12.5, 200.0))
    session.draw(plumb)
    session.draw(DrawnLine(CAMERA, "parallel", (300.0, 20.0), (700.0, 30.0), "A"))
    moved = replace(plumb, end=(11.0, 210.0))
    session.draw(moved, plumb)
    lines = read_lines(session.folder / "lines.csv")[0]
    assert lines.kind.tolist() == ["plumb", "parallel"]
    assert lines.end[0].tolist() == [11.0, 210.0]
    assert session.changed_camera == CAMERA
    with pytest.raises(InputError, match="has no such plumb line any more"):
        session.erase(plumb)
    session.erase(moved)
    session.undo()
    session.undo()
    assert session.state.lines.end[0].tolist() == [12.5, 200.0]
    assert not (session.folder / "marks.csv").exists()


def test_a_moved_line_keeps_how_well_it_was_drawn(site, stills, tmp_path):
    (tmp_path / "lines.csv").write_text("camera,kind,u1,v1,u2,v2,sigma\ngate,plumb,1,2,3,99,1\n" + OLD_LINE)
    session = MarkingSession(site, find_stills(stills), tmp_path, pose_fit(site))
    session.draw(
        DrawnLine(CAMERA, "plumb", (10.0, 20.0), (11.0, 90.0)), DrawnLine(CAMERA, "plumb", (10.0, 20.0), (12.0, 99.0))
    )
    lines = read_lines(tmp_path / "lines.csv")[0]
    assert lines.camera.tolist() == ["gate", CAMERA]  # lines of cameras without a still stay
    assert lines.sigma.tolist() == [1.0, 4.0]


def test_a_camera_has_one_horizon(session):
    session.draw(DrawnLine(CAMERA, "horizon", (10.0, 20.0), (900.0, 25.0)))
    session.draw(DrawnLine(OTHER, "horizon", (10.0, 20.0), (900.0, 25.0)))
    session.draw(DrawnLine(CAMERA, "horizon", (10.0, 40.0), (900.0, 45.0)))
    assert session.state.lines.camera.tolist() == [CAMERA, OTHER]
    assert session.state.lines.start[0].tolist() == [10.0, 40.0]


def test_lines_that_another_program_changed_are_not_written_over(session):
    session.draw(DrawnLine(CAMERA, "plumb", (10.0, 20.0), (12.5, 200.0)))
    (session.folder / "lines.csv").write_text("camera,kind,u1,v1,u2,v2\n")
    with pytest.raises(InputError, match=r"lines.csv: another program has changed it"):
        session.mark(CAMERA, "ramp foot", (10.0, 20.0), 1.0)
    session.reload()
    assert len(session.state.lines) == 0


def test_a_session_starts_again_where_it_ended(session, site, stills):
    session.mark(CAMERA, "kerb", (10.0, 20.0), 1.0, Spot(24.0, 8.0, "P1", 0.0, 0.3, 0.05))
    again = MarkingSession(site, find_stills(stills), session.folder, pose_fit(site))
    assert again.state.marks == session.state.marks
    assert [point.xyz for point in again.state.points] == [point.xyz for point in session.state.points]


def test_the_map_is_drawn_into_the_still_where_the_camera_sees_it(session, site):
    camera = site.camera(CAMERA)
    for name, pixel in list(true_pixels(camera, site).items())[:6]:
        session.mark(CAMERA, name, pixel, 1.0)
    found = verdict_data(session, CAMERA, session.solve(CAMERA)[1])["camera"]
    assert (found["x"], found["y"]) == pytest.approx(camera.centre_world[:2].tolist(), abs=0.02)
    ends = np.concatenate([np.reshape(line, (-1, 2)) for line in found["lines"][0]])
    assert len(ends) > 200
    margin = 0.5 * np.array(camera.size)
    assert (ends > -margin - 0.1).all()
    assert (ends < camera.size + margin + 0.1).all()


def test_what_the_page_is_told_is_json_without_nan(session):
    import json

    for data in (site_data(session), state_data(session), verdict_data(session, CAMERA, session.solve(CAMERA)[1])):
        json.dumps(data, allow_nan=False)


def test_a_still_of_another_size_than_the_calibration_is_named(tmp_path):
    from PIL import Image

    Image.new("RGB", (640, 360)).save(tmp_path / f"{CAMERA}.png")
    site = garage_site()
    session = MarkingSession(site, find_stills(tmp_path), tmp_path, pose_fit(site))
    assert "640 × 360 px" in site_data(session)["cameras"][0]["warning"]


def test_stills_that_would_mislead_are_refused(tmp_path):
    from PIL import Image

    with pytest.raises(InputError, match="no stills; put one picture a camera there"):
        find_stills(tmp_path)
    picture = Image.new("RGB", (64, 36))
    picture.save(tmp_path / "gate.png")
    picture.save(tmp_path / "gate.jpg")
    with pytest.raises(InputError, match="two stills of camera 'gate'"):
        find_stills(tmp_path)
    (tmp_path / "gate.png").unlink()
    turned = Image.Exif()
    turned[274] = 6
    picture.save(tmp_path / "gate.jpg", exif=turned)
    with pytest.raises(InputError, match="EXIF tag turns"):
        find_stills(tmp_path)
    (tmp_path / "gate.jpg").write_bytes(b"nothing")
    with pytest.raises(InputError, match="no picture that can be read"):
        find_stills(tmp_path)
