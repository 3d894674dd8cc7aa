"""A folder laid out as MEVA's, made up: one camera in the common frame, perhaps others that are not."""

import gzip
import json
from pathlib import Path

HEADER = "frame,time_s,track_id,object_id,type,x1,y1,x2,y2,key\n"
POSE = {"R": [[1, 0, 0], [0, 0, -1], [0, 1, 0]], "t": [0, 6, 0]}
MODEL = {
    "width": 1920,
    "height": 1080,
    "K": [[1000, 0, 960], [0, 1000, 540], [0, 0, 1]],
    "distortion": [0] * 5,
}


def make_meva(
    folder: Path, own_frame: str = "", no_model: str = "", objects: tuple[int, ...] = (5, 6)
) -> Path:
    """Folder with slot `slot`, camera G1 and two objects that walk for 2 s; other cameras see the same."""
    names = ["G1", *filter(None, (own_frame, no_model))]
    models = [
        {
            "camera": name,
            "model": f"m.{name}",
            "own_frame": "gym" if name == own_frame else None,
            **MODEL,
            **POSE,
        }
        for name in names
        if name != no_model
    ]
    calibration = {"wgs84_origin": {"lat": 39.0, "lon": -85.5, "h": 205.0}, "cameras": models}
    (folder / "calibration").mkdir(parents=True)
    (folder / "calibration" / "cameras_new.json").write_text(json.dumps(calibration))
    slot = folder / "tracks" / "slot"
    slot.mkdir(parents=True)
    cameras = [{"camera": name, "camera_model": f"m.{name}"} for name in names]
    (slot / "slot.json").write_text(json.dumps({"slot": "slot", "cameras": cameras}))
    for name in names:
        rows = [
            f"{frame},{1 + frame / 30:.3f},{10 + k},{k},person,{left + frame},800,{left + frame + 40},900,1\n"
            for left, k in zip((0, 100), objects, strict=True)
            for frame in range(60)
        ]
        (slot / f"{name}.csv.gz").write_bytes(gzip.compress((HEADER + "".join(rows)).encode()))
    return folder
