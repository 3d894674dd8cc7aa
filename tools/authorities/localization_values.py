"""Writes fixtures/authorities/localization.json: paths and forecasts, and what evo, scikit-learn and SciPy say of them.

Needs an environment of its own, and evo's source archive, which holds its example files:
    python -m venv authorities && . authorities/bin/activate
    pip install evo==1.38.1 scikit-learn==1.9.1
    pip download --no-deps --no-binary :all: evo==1.38.1 && tar xzf evo-1.38.1.tar.gz
    python tools/authorities/localization_values.py evo-1.38.1/test/data
"""

import copy
import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from evo.core import metrics, sync
from evo.core.trajectory import PoseTrajectory3D
from evo.core.units import Unit
from scipy.spatial.transform import Rotation
from scipy.stats import chi2
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss, log_loss

OUT = Path(__file__).resolve().parents[2] / "fixtures" / "authorities" / "localization.json"
COMMAND = "python tools/authorities/localization_values.py evo-1.38.1/test/data"
RELATIONS = {
    "translation": metrics.PoseRelation.translation_part,
    "rotation_deg": metrics.PoseRelation.rotation_angle_deg,
    "full": metrics.PoseRelation.full_transformation,
}
TUM_SOURCE = (
    "evo's example freiburg1_xyz-groundtruth.txt with freiburg1_xyz-rgbdslam_drift.txt, from the TUM RGB-D benchmark "
    "(Sturm et al. 2012, https://cvg.cit.tum.de/data/datasets/rgbd-dataset), CC BY 4.0; of the truth, only the poses "
    "nearest to an estimated one. evo's figures are of the whole files."
)

Values = dict[str, Any]


def path(rows: np.ndarray) -> PoseTrajectory3D:
    """Rows (time, x, y, z, qx, qy, qz, qw) as evo's trajectory."""
    return PoseTrajectory3D(rows[:, 1:4], np.roll(rows[:, 4:], 1, axis=1), rows[:, 0])


def drawn_paths(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A truth at about 20 Hz and a monocular estimate of other scale at about 10 Hz, drifting, some of it unmatched."""
    time = 100.0 + 0.05 * np.arange(200)
    angle = 0.4 * (time - time[0])
    xyz = np.stack([4 * np.cos(angle), 6 * np.sin(0.7 * angle), 0.8 * np.sin(1.9 * angle)], axis=1)
    turn = Rotation.from_euler("zyx", np.stack([angle, 0.3 * np.sin(angle), 0.2 * np.cos(2 * angle)], axis=1))
    rows = np.flatnonzero(rng.random(200) < 0.5)
    drift = Rotation.from_rotvec(np.cumsum(rng.normal(0, 0.01, (len(rows), 3)), axis=0))
    other = Rotation.from_euler("zyx", [1.1, 0.2, -0.4])
    found_xyz = other.apply(xyz[rows] + np.cumsum(rng.normal(0, 0.02, (len(rows), 3)), axis=0)) / 1.7 + [3, -2, 1]
    found_time = time[rows] + rng.uniform(-0.014, 0.014, len(rows))
    truth = np.column_stack([time, xyz, turn.as_quat()])
    estimate = np.column_stack([found_time, found_xyz, (other * turn[rows] * drift).as_quat()])
    return np.round(truth, 6), np.round(estimate, 6)


def evo_values(truth: np.ndarray, estimate: np.ndarray) -> Values:
    """APE under each alignment and RPE over several deltas, as evo_ape and evo_rpe compute them."""
    true, found = sync.associate_trajectories(path(truth), path(estimate), max_diff=0.01)
    aligned = {"none": copy.deepcopy(found), "se3": copy.deepcopy(found), "sim3": copy.deepcopy(found)}
    aligned["se3"].align(true)
    scale = aligned["sim3"].align(true, correct_scale=True)[2]
    values: Values = {"n_matched": true.num_poses, "scale": float(scale), "ape": [], "rpe": []}
    for alignment, moved in aligned.items():
        for name, relation in RELATIONS.items():
            ape = metrics.APE(relation)
            ape.process_data((true, moved))
            values["ape"].append({"alignment": alignment, "relation": name, **statistics(ape)})
            for delta, unit in ((1, "frames"), (15, "frames"), (0.5, "metres")):
                for every in (False, True):
                    for source in ("estimate", "truth"):
                        rpe = metrics.RPE(
                            relation,
                            delta,
                            Unit.frames if unit == "frames" else Unit.meters,
                            all_pairs=every,
                            pairs_from_reference=source == "truth",
                        )
                        rpe.process_data((true, moved))
                        case = {"alignment": alignment, "relation": name, "delta": delta, "unit": unit}
                        case |= {"all_pairs": every, "pairs_from": source, "n": len(rpe.error)}
                        values["rpe"].append(case | statistics(rpe))
    return values


def statistics(metric: metrics.PE) -> Values:
    """evo's seven statistics."""
    return {name: float(value) for name, value in metric.get_all_statistics().items()}


def nearest_truths(truth: np.ndarray, estimate: np.ndarray) -> np.ndarray:
    """Rows of the truth that are the nearest in time of an estimate."""
    gaps = np.abs(truth[:, 0][None] - estimate[:, 0][:, None])
    return truth[np.unique(gaps.argmin(axis=1))]


def forecast_values(rng: np.random.Generator) -> Values:
    """Overconfident forecasts, with some on the bins' edges and some of 0 and 1, and scikit-learn's scores of them."""
    probability = np.round(rng.beta(0.7, 0.9, 300), 3)
    probability[:12] = [0.0, 0.0, 1.0, 1.0, 0.1, 0.2, 0.3, 0.5, 0.7, 0.8, 0.9, 0.5]
    event = rng.random(300) < 0.25 + 0.5 * probability
    observed, forecast = calibration_curve(event, probability, n_bins=10)
    return {
        "probability": probability.tolist(),
        "event": event.astype(int).tolist(),
        "observed": observed.tolist(),
        "forecast": forecast.tolist(),
        "brier_score_loss": float(brier_score_loss(event, probability)),
        "log_loss": float(log_loss(event, probability)),
    }


def main() -> None:
    """Write the file whole."""
    folder = Path(sys.argv[1])
    names = ("freiburg1_xyz-groundtruth.txt", "freiburg1_xyz-rgbdslam_drift.txt")
    truth, estimate = (np.loadtxt(folder / name) for name in names)
    drawn = drawn_paths(np.random.default_rng(11))
    content: Values = {
        "command": COMMAND,
        "versions": {name: version(name) for name in ("evo", "scikit-learn", "numpy", "scipy")},
        "tum": {
            "source": TUM_SOURCE,
            "truth": nearest_truths(truth, estimate).tolist(),
            "estimate": estimate.tolist(),
            "evo": evo_values(truth, estimate),
        },
        "drawn": {"truth": drawn[0].tolist(), "estimate": drawn[1].tolist(), "evo": evo_values(*drawn)},
        "forecasts": forecast_values(np.random.default_rng(12)),
        "chi2_interval": [[p, k, *map(float, chi2.interval(p, k))] for p in (0.95, 0.999) for k in (2, 200, 8000)],
    }
    part = OUT.with_suffix(".part")
    part.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")
    part.replace(OUT)


if __name__ == "__main__":
    main()
