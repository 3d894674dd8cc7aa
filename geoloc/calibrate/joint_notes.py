"""What a joint adjustment has to say to people: clusters, outliers and what they look like, noise, loose cameras."""

from collections.abc import Sequence

import numpy as np

from geoloc.calibrate.joint_case import Case, ends_of
from geoloc.calibrate.line_words import wrong_line
from geoloc.calibrate.links import Cluster
from geoloc.calibrate.outliers import Cleaned
from geoloc.scene.marks import Marks

SWAPPED = 10.0  # sigmas within which each of two wrong marks lies where the other one belongs
LOOSE_M = 1.0  # a camera whose place is known worse than this is named
NOISY = 1.5  # marks that scatter this much more, or less, than stated are told


def notes_of(case: Case, cleaned: Cleaned, marks: Marks, clusters: Sequence[Cluster]) -> tuple[str, ...]:
    """Notes in the order of their weight; `marks` are the case's."""
    return (
        *_clusters(clusters),
        *_marks(cleaned, marks),
        *_controls(case, cleaned),
        *_distances(case, cleaned),
        *_heights(case, cleaned),
        *_lines(case, cleaned),
        *_noise(cleaned),
        *_loose(cleaned),
        *_alone(case, cleaned),
    )


def _clusters(clusters: Sequence[Cluster]) -> list[str]:
    if len(clusters) < 2:
        return []
    said = "; ".join(
        f"{', '.join(cluster.cameras)} (control points: {len(cluster.control_points)})" for cluster in clusters
    )
    return [f"the cameras fall into {len(clusters)} clusters without a common point: {said}"]


def _marks(cleaned: Cleaned, marks: Marks) -> list[str]:
    belongs = marks.pixel - cleaned.residual
    wrong = np.flatnonzero(~cleaned.kept.sights & np.isfinite(belongs).all(axis=1))
    told = []
    for row in wrong.tolist():
        where = f"camera {marks.camera[row]}: the mark of {marks.point[row]}"
        off = float(np.linalg.norm(cleaned.residual[row]))
        twins = [
            other
            for other in wrong.tolist()
            if other != row and marks.camera[other] == marks.camera[row]
            and np.linalg.norm(marks.pixel[other] - belongs[row]) < SWAPPED * marks.sigma[row]
            and np.linalg.norm(marks.pixel[row] - belongs[other]) < SWAPPED * marks.sigma[other]
        ]  # fmt: skip
        looks = f"; it looks swapped with that of {marks.point[twins[0]]}" if twins else ""
        told.append(f"{where} is {off:.1f} px from where all others put it, and was left out{looks}")
    unseen = np.flatnonzero(~cleaned.kept.sights & ~np.isfinite(belongs).all(axis=1)).tolist()
    told += [f"camera {marks.camera[row]}: {marks.point[row]} lies behind it or is seen by it alone" for row in unseen]
    return told


def _controls(case: Case, cleaned: Cleaned) -> list[str]:
    told = []
    for row in np.flatnonzero(~cleaned.kept.surveys).tolist():
        control, index = case.controls[row], case.network.surveyed.point[row]
        if not cleaned.placed[index]:
            told.append(f"control point {control.name} disagrees with its marks and was left out with them")
            continue
        off = cleaned.bundle.points[index] - control.xyz
        shift = ", ".join(f"{value:+.2f}" for value in off.tolist())
        told.append(
            f"control point {control.name}: the marks put it {np.linalg.norm(off):.2f} m from where the map has it "
            f"({shift} m east, north, up); it was left out: look for a typo in its coordinates"
        )
    return told


def _distances(case: Case, cleaned: Cleaned) -> list[str]:
    told = []
    for row in np.flatnonzero(~cleaned.kept.spans).tolist():
        (a, b), (first, second) = case.network.spans.ends[row], ends_of(case.distances)[row]
        found = float(np.linalg.norm(cleaned.bundle.points[a] - cleaned.bundle.points[b]))
        said = f"distance {first} to {second}: measured {case.distances.distance[row]:.2f} m"
        told.append(f"{said}, {found:.2f} m by all else, and was left out")
    return told


def _heights(case: Case, cleaned: Cleaned) -> list[str]:
    told = []
    for row in np.flatnonzero(~cleaned.kept.heights).tolist():
        index = case.network.heights.camera[row]
        a, b, c = case.network.heights.plane[row]
        x, y, z = cleaned.bundle.cameras[index].centre_world
        off = z - a * x - b * y - c
        said = f"it stands {off:+.2f} m from its measured height, which was left out"
        told.append(f"camera {case.cameras[index]}: {said}")
    return told


def _lines(case: Case, cleaned: Cleaned) -> list[str]:
    lines, kept = case.network.lines, cleaned.kept.lines
    told = []
    for i, camera in enumerate(case.cameras):
        own = np.flatnonzero(lines.camera == i)
        if len(own):
            said = f"{int(kept[own].sum())} of its {len(own)} lines count in the joint adjustment"
            told.append(f"camera {camera}: {said}")
    for row in np.flatnonzero(~kept).tolist():
        where = f"camera {case.cameras[lines.camera[row]]}: " if row < len(lines) else ""
        told.append(where + wrong_line(lines, row, case.directions))
    return told


def _noise(cleaned: Cleaned) -> list[str]:
    if 1.0 / NOISY <= cleaned.factor <= NOISY:
        return []
    return [f"the marks scatter {cleaned.factor:.2f} times what their sigmas say"]


def _loose(cleaned: Cleaned) -> list[str]:
    told = []
    for camera in cleaned.bundle.cameras:
        turn = camera.cam_from_world.rotation.as_matrix()
        sigma = float(np.sqrt(np.linalg.eigvalsh(turn.T @ camera.calib_cov[3:6, 3:6] @ turn)[-1]))
        if sigma > LOOSE_M:
            told.append(f"camera {camera.name}: its place is known to {sigma:.1f} m only; mark points near it")
    return told


def _alone(case: Case, cleaned: Cleaned) -> list[str]:
    lost = [name for i, name in enumerate(case.points) if not cleaned.placed[i]]
    if not lost:
        return []
    return [f"{len(lost)} tie points are seen by one camera only and say nothing: {', '.join(lost[:5])}"]
