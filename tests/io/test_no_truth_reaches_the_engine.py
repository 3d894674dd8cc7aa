"""Truth ids are dropped by the readers: permuting or removing them changes nothing that the engine gets."""

import csv
import gzip
import io
import json
import shutil

import numpy as np
import pytest
from meva_sample import make_meva

from geoloc.io.cityflow import read_cityflow, read_cityflow_truth
from geoloc.io.cmc import read_cmc
from geoloc.io.meva import meva_slots, read_meva
from geoloc.io.meva_truth import read_meva_gps, read_meva_gps_matches, read_meva_pairs, read_meva_truth
from geoloc.io.multiviewx import read_multiviewx, read_multiviewx_truth
from geoloc.io.wildtrack import read_wildtrack
from geoloc.scene.tables import Detections

ENGINE_COLUMNS = {"id", "time", "camera", "box", "foot", "foot_cov", "label", "score", "embedding"}


def test_detections_hold_nothing_else():
    assert set(Detections.columns) == ENGINE_COLUMNS


def permuted(values: list[str], rng: np.random.Generator) -> dict[str, str]:
    """A permutation of the distinct values without a fixed one."""
    names = sorted(set(values))
    shift = int(rng.integers(1, len(names)))
    return dict(zip(names, names[shift:] + names[:shift], strict=True))


def test_multiviewx_persons_are_dropped(recording, tmp_path, rng):
    folder = tmp_path / "multiviewx"
    shutil.copytree(recording("multiviewx"), folder, ignore=shutil.ignore_patterns("*.jpg"))
    _, before = read_multiviewx(folder)
    truth = read_multiviewx_truth(folder)
    for file in (folder / "annotations_positions").glob("*.json"):
        people = json.loads(file.read_text())
        new = permuted([str(person["personID"]) for person in people], rng)
        for person in people:
            person["personID"] = int(new[str(person["personID"])])
            person["positionID"] = 1  # nor does the true position
        file.write_text(json.dumps(people))
    assert read_multiviewx(folder)[1] == before
    assert not np.array_equal(read_multiviewx_truth(folder).id, truth.id)


@pytest.mark.parametrize("source", ["gt", "tracks"])
def test_cityflow_ids_are_dropped(recording, tmp_path, rng, source):
    folder = tmp_path / "cityflow"
    shutil.copytree(recording("cityflow"), folder)
    _, before = read_cityflow(folder, source)
    truth = read_cityflow_truth(folder)
    separator = {"gt": " ", "tracks": ","}[source]
    for file in (folder / source).glob("*.txt.gz"):
        rows = [line.split(separator) for line in gzip.decompress(file.read_bytes()).decode().splitlines()]
        new = permuted([row[1] for row in rows], rng)
        lines = [separator.join([row[0], new[row[1]], *row[2:]]) for row in rows]
        file.write_bytes(gzip.compress("\n".join(lines).encode()))
    assert read_cityflow(folder, source)[1] == before
    if source == "gt":
        assert not np.array_equal(read_cityflow_truth(folder).id, truth.id)


def test_meva_tracks_objects_activities_and_identities_are_dropped(recording, tmp_path, rng):
    """Ids permuted, every other file of truth taken away: the engine's input stays as it is."""
    whole = recording("meva")
    slot = meva_slots(whole)[0]
    folder = tmp_path / "meva"
    shutil.copytree(whole / "calibration", folder / "calibration", ignore=shutil.ignore_patterns("*.jpg"))
    shutil.copytree(whole / "tracks" / slot, folder / "tracks" / slot)
    _, before = read_meva(whole, slot, every_s=0.2)
    truth = read_meva_truth(folder, slot)
    for name in ("objects.csv", "identities.csv", "activities.csv"):
        (folder / "tracks" / slot / name).unlink()
    for file in (folder / "tracks" / slot).glob("*.csv.gz"):
        header, *rows = csv.reader(io.StringIO(gzip.decompress(file.read_bytes()).decode()))
        for column in (header.index("track_id"), header.index("object_id")):
            new = permuted([row[column] for row in rows], rng)
            for row in rows:
                row[column] = new[row[column]]
        text = "\n".join(",".join(row) for row in (header, *rows)) + "\n"
        file.write_bytes(gzip.compress(text.encode(), 1))
    assert read_meva(folder, slot, every_s=0.2)[1] == before
    assert not np.array_equal(read_meva_truth(folder, slot).object, truth.object)
    assert not len(read_meva_pairs(folder, slot))


def test_meva_sample_is_read_whatever_its_ids(tmp_path):
    """The same proof where the recordings are absent."""
    first = read_meva(make_meva(tmp_path / "a"), "slot")[1]
    second = read_meva(make_meva(tmp_path / "b", objects=(9, 2)), "slot")[1]
    assert first == second
    assert len(first) == 120
    assert not len(read_meva_gps(tmp_path / "a", "slot"))
    assert not len(read_meva_gps_matches(tmp_path / "a", "slot"))


@pytest.mark.parametrize("name", ["wildtrack", "cmc"])
def test_recordings_without_their_truth_files_are_still_read(recording, tmp_path, name):
    folder = tmp_path / name
    truth = ("positions.txt", "mvdet_positions.txt", "EST_*", "*.jpg")
    shutil.copytree(recording(name), folder, ignore=shutil.ignore_patterns(*truth))
    read = {"wildtrack": read_wildtrack, "cmc": read_cmc}[name]
    assert read(folder)[1] == read(recording(name))[1]
