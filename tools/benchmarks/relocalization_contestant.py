"""The measurements of the benchmark of relocalization, in a process of its own with two cores: prints them as JSON.

    python tools/benchmarks/relocalization_contestant.py ../shared/data/strecha --images 2000

Stills of Strecha's sequences, enlarged and cut to 1920 x 1080, are placed in a map of the others of their sequence
(each third in turn), then the middle third in a map of `--images`, which holds them among drawn copies (tiled_map).
Contestants take turns, query by query.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

N_CORES = 2
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = str(N_CORES)

import cv2  # noqa: E402
import numpy as np  # noqa: E402

sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1])]

from benchmarks.hloc_style import TOP, StoredImage, match_images, pose_of  # noqa: E402
from benchmarks.tiled_map import mix, offset_of, tiled  # noqa: E402

from geoloc.features.local import ExtractionOptions, LocalFeatures, extract, unit_descriptors  # noqa: E402
from geoloc.io.pictures import read_pictures  # noqa: E402
from geoloc.io.strecha import read_strecha, still_path  # noqa: E402
from geoloc.relocalize import relocalization  # noqa: E402
from geoloc.relocalize.candidates import rank_images  # noqa: E402
from geoloc.relocalize.landmark_storage import load_landmarks, save_landmarks  # noqa: E402
from geoloc.relocalize.landmarks import LandmarkMap  # noqa: E402
from geoloc.relocalize.mapping import build_landmarks  # noqa: E402
from geoloc.scene.camera import Camera  # noqa: E402
from geoloc.scene.lenses import Pinhole  # noqa: E402

SEQUENCES = ("fountain-P11", "Herz-Jesus-P8", "entry-P10")
SIZE = (1920, 1080)
