"""A state as bytes: every number comes back, nothing foreign goes in or comes out."""

from collections import Counter, deque

import numpy as np
import pytest

from geoloc.errors import InputError
from geoloc.pipeline.codec import decode, encode
from geoloc.pipeline.footprint import FootprintOptions
from geoloc.pipeline.lineage import Event
from geoloc.scene.columns import Coded
from geoloc.scene.tables import Detections


def again(value: object) -> object:
    data = encode(value, {})
    back = decode(data, {})
    assert encode(back, {}) == data
    return back


def test_every_number_comes_back_exactly() -> None:
    values = [0.1, -0.0, 1e-320, float("inf"), 2**70, True, None, "Stellplatz Ä", np.float64(1 / 3), np.int32(-5)]
    back = again(values)
    assert str(back) == str(values)
    assert [type(value) for value in back] == [type(value) for value in values]
    assert np.isnan(again(float("nan")))


def test_arrays_keep_dtype_order_and_whether_they_can_be_written() -> None:
    fortran = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    frozen = np.arange(3)
    frozen.flags.writeable = False
    rows = np.zeros(2, dtype=[("id", np.int64), ("cov", np.float64, (2, 2))])
    rows["cov"][1] = 7.0
    names = np.array(["car", "van"], dtype=object)
    back = again({"f": fortran, "frozen": frozen, "rows": rows, "names": names, "none": np.zeros((0, 4), np.float32)})
    assert back["f"].flags.f_contiguous
    assert not back["f"].flags.c_contiguous
    assert not back["frozen"].flags.writeable
    assert back["f"].flags.writeable
    assert back["rows"].dtype == rows.dtype
    assert (back["rows"]["cov"] == rows["cov"]).all()
    assert back["names"].tolist() == ["car", "van"]
    assert back["none"].shape == (0, 4)


def test_what_is_shared_stays_shared_and_containers_keep_their_order() -> None:
    array = np.zeros(3)
    state = {(2, 1): array, "b": [array], "c": Counter({"z": 2, "a": 1}), "d": deque([1, 2], maxlen=2), "e": {3, 1}}
    back = again(state)
    assert back["b"][0] is back[2, 1]
    assert list(back["c"]) == ["z", "a"]
    assert back["d"].maxlen == 2
    assert back["e"] == {1, 3}
    ring: list[object] = []
    ring.append(ring)
    assert again(ring)[0][0][0] is not None


def test_tables_keep_codes_and_missing_columns() -> None:
    table = Detections(time=[1.0, 2.0], camera=["b", "a"], box=np.ones((2, 4)), embedding=np.ones((2, 3)))
    table = table.revised(label=Coded(("van", "car", "bus"), np.array([1, 0])))
    back = again(table)
    assert back == table
    assert back.coded("label").names == ("car", "van"), "those that are there, in order"
    assert np.isnan(back.foot_cov).all()
    assert back.embedding.dtype == np.float32


def test_given_objects_are_left_out_and_put_back() -> None:
    options = FootprintOptions()
    data = encode({"options": options, "event": Event(1.0, "born", 3)}, {"options": options})
    other = FootprintOptions(memory_s=5.0)
    back = decode(data, {"options": other})
    assert back["options"] is other
    assert back["event"] == Event(1.0, "born", 3)


def test_what_is_not_the_engines_is_refused_by_its_place() -> None:
    with pytest.raises(InputError, match=r"state\['a'\]\[1\]: a builtins.function cannot be stored"):
        encode({"a": [1, lambda: 0]}, {})
    with pytest.raises(InputError, match=r"a numpy\.random"):
        encode(np.random.default_rng(1), {})


@pytest.mark.parametrize(
    "form",
    [
        b'["O","os:system",{}]',
        b'["O","geoloc.pipeline.journal:Path",{}]',
        b'["O","geoloc.pipeline.lineage:nx",{}]',
        b'["A","|O",[1],0,1]',
        b'["A","<f8",[9999999],0,1]',
        b'["X"]',
        b"[[",
        b'["R",4]',
    ],
)
def test_foreign_bytes_are_refused_and_run_nothing(form: bytes) -> None:
    data = len(form).to_bytes(4, "little") + form
    with pytest.raises(InputError, match="does not hold what geoloc writes"):
        decode(data + bytes(-len(data) % 16), {})


def test_a_table_gives_the_same_bytes_whatever_it_was_taken_from() -> None:
    everyone = Detections(time=np.arange(6.0), camera=["south", "east", "north"] * 2, box=np.ones((6, 4)))
    everyone.coded("camera")
    one = everyone.take(everyone.camera == "north")
    assert encode(one, {}) == encode(Detections(time=one.time, camera=["north", "north"], box=one.box), {})
    turned = everyone.take(slice(None, None, -1))
    assert encode(turned, {}) == encode(
        Detections(time=turned.time, camera=turned.camera.tolist(), box=turned.box), {}
    )
