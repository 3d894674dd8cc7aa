"""`geoloc demo --calibration`: a site to try calibration on, calibrated, and held against the truth."""

import sys
from argparse import ArgumentParser
from pathlib import Path

import numpy as np

from geoloc.calibrate.changes import compare
from geoloc.calibrate.quality import ground_sight
from geoloc.cli import calibrate
from geoloc.draw.ground_bands import length_text
from geoloc.evaluation.text_table import aligned
from geoloc.files import write_whole
from geoloc.io.marks import write_marks
from geoloc.scene.camera import Camera
from geoloc.scene.map_storage import save_map
from geoloc.scene.site import Site
from geoloc.scene.storage import calibration_folder, load_site, save_cameras
from geoloc.synthetic.trial import Trial, calibration_trial

HEADS = ("camera", "place off by", "direction", "ground, median", "95 %", "sigma it states")
PAGE, STILLS, TRUTH = "calibration.html", "stills", "truth.json"


def try_calibration(out: Path, seed: int) -> None:
    """Write the site's map, stills, marks and known lens, calibrate it as a person would, and compare."""
    rng = np.random.default_rng(seed)
    trial = calibration_trial(rng)
    write_trial(trial, out, rng)
    where = [trial.site.name, "--root", str(out), "--stills", str(out / STILLS)]
    parser = ArgumentParser()
    calibrate.add_arguments(parser)
    calibrate.run(parser.parse_args([*where, "-o", str(out / PAGE), "--note", "the demo's own marks"]))
    site = load_site(trial.site.name, out)
    print(f"\nagainst the truth ({out / TRUTH}):")
    print(aligned(HEADS, [_row(site, camera) for camera in trial.truth if camera.name in site.camera_index]))
    print(f"\nnow mark what is missing, and calibrate again:\n  geoloc mark {' '.join(where)}")
    print(f"  geoloc calibrate {' '.join(where)} -o {out / PAGE}")


def write_trial(trial: Trial, out: Path, rng: np.random.Generator) -> None:
    """The files that a person has before calibrating, and the truth beside them."""
    import cv2

    folder = calibration_folder(trial.site.name, out)
    save_map(trial.site.site_map, out / "sitemaps" / f"{trial.site.name}.geojson")
    write_marks(folder / "marks.csv", trial.marks)
    lines = []
    for lens in trial.lenses:
        save_cameras((Camera(lens.name, lens.lens, lens.size),), folder / "lenses" / f"{lens.name}.json")
        lines.append(f'[lenses.{lens.name}]\nfile = "lenses/{lens.name}.json"\n')
    lines += [f'[cameras.{camera.name}]\nlens = "{camera.lens}"\n' for camera in trial.known]
    write_whole(folder / "cameras.toml", "\n".join(lines))
    save_cameras(trial.truth, out / TRUTH)
    (out / STILLS).mkdir(parents=True, exist_ok=True)
    for camera in trial.truth:
        print(f"drawing the still of {camera.name} ...", file=sys.stderr)
        cv2.imwrite(str(out / STILLS / f"{camera.name}.jpg"), trial.still(camera, rng))


def _row(site: Site, true: Camera) -> tuple[str, ...]:
    """How far a camera is from the truth, and how far it says that it may be."""
    found = site.camera(true.name)
    off = compare(true, found, site.site_map)
    sigma = ground_sight(site, true.name).sigma(found.calib_cov)
    lengths = (off.shift_median_m, off.shift_p95_m, float(np.median(sigma)))
    return true.name, length_text(off.moved_m), f"{off.turned_deg:.2f} deg", *map(length_text, lengths)
