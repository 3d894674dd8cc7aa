"""Sites on disk, taken apart: two maps or cameras compared, one value of a file replaced."""

import json

import numpy as np
import shapely


def assert_same_map(got, want, atol):
    def close(a, b):
        assert a.is_empty == b.is_empty
        assert shapely.get_num_coordinates(a) == shapely.get_num_coordinates(b)
        assert a.is_empty or shapely.hausdorff_distance(a, b) <= atol

    assert got.datum == want.datum
    assert [level.name for level in got.levels] == [level.name for level in want.levels]
    for a, b in zip(got.levels, want.levels, strict=True):
        for piece, other in zip(a.surfaces, b.surfaces, strict=True):
            assert (piece.plane, piece.sigma_z) == (other.plane, other.sigma_z)
            close(piece.polygon, other.polygon)
    for a, b in zip((*got.stalls, *got.zones), (*want.stalls, *want.zones), strict=True):
        assert (a.name, a.level, a.kind) == (b.name, b.level, b.kind)
        close(a.polygon, b.polygon)
    for a, b in zip(got.occluders, want.occluders, strict=True):
        assert (a.name, a.level, a.height, a.geometry.geom_type) == (b.name, b.level, b.height, b.geometry.geom_type)
        close(a.geometry, b.geometry)
    for a, b in zip(got.control_points, want.control_points, strict=True):
        assert (a.name, a.sigma) == (b.name, b.sigma)
        np.testing.assert_allclose(a.xyz, b.xyz, atol=atol)


def assert_same_camera(got, want):
    assert (got.name, got.size, got.freed) == (want.name, want.size, want.freed)
    assert type(got.lens) is type(want.lens)
    np.testing.assert_array_equal(got.lens.params, want.lens.params)
    np.testing.assert_array_equal(got.cam_from_world.as_matrix(), want.cam_from_world.as_matrix())
    np.testing.assert_array_equal(got.calib_cov, want.calib_cov)
    assert (got.homography_level, got.homography_sigma_px) == (want.homography_level, want.homography_sigma_px)


def change(document, path, value):
    """A copy with one value replaced, or removed where `value` is `...`."""
    copy = json.loads(json.dumps(document))
    place = copy
    for key in path[:-1]:
        place = place[key]
    if value is ...:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return copy
