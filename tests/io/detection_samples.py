"""One small well-formed file for every reader of detections: the same three boxes of one camera."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geoloc.io.detections import ReadOptions

# left, top, right, bottom in geoloc's pixels; two of the first instant, one of the second
BOXES = np.array([[10.0, 20.0, 30.0, 60.0], [100.0, 50.0, 140.0, 150.0], [12.0, 21.0, 32.0, 61.0]])
TIMES = np.array([0.0, 0.0, 0.5])
IDS = [7, 9, 7]  # truth that must not be read


@dataclass(frozen=True)
class Sample:
    """How a kind's file is made, with which truth ids, and read; `shift` is its origin against geoloc's."""

    make: Callable[[Path, list[int]], Path]
    options: ReadOptions
    shift: float = 0.0


def _corner_size(shift: float) -> list[list[float]]:
    """left, top, width, height in the pixels of a format that is shifted by `shift` when it is read."""
    return [[*(box[:2] - shift).tolist(), *(box[2:] - box[:2]).tolist()] for box in BOXES]


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def make_csv(folder: Path, ids: list[int]) -> Path:
    rows = [
        f"{i},{t},C1,{','.join(map(str, b))},person,0.9" for i, t, b in zip(ids, TIMES, BOXES, strict=True)
    ]
    return _write(folder / "boxes.csv", "\n".join(["id,time,camera,x1,y1,x2,y2,label,score", *rows]) + "\n")


def make_jsonl(folder: Path, ids: list[int]) -> Path:
    first = {"time": 0.0, "camera": "C1", "detections": [
        {"id": i, "box": b.tolist(), "label": "person"} for i, b in zip(ids[:2], BOXES[:2], strict=True)
    ]}  # fmt: skip
    edges = dict(zip(("x1", "y1", "x2", "y2"), BOXES[2].tolist(), strict=True))
    second = {"time": 0.5, "camera": "C1", "id": ids[2], "label": "person", **edges}
    return _write(folder / "boxes.jsonl", json.dumps(first) + "\n" + json.dumps(second) + "\n")


def make_parquet(folder: Path, ids: list[int]) -> Path:
    import pyarrow
    from pyarrow import parquet

    columns = {"id": ids, "time": TIMES, "camera": ["C1"] * 3, "label": ["person"] * 3}
    edges = dict(zip(("x1", "y1", "x2", "y2"), BOXES.T, strict=True))
    parquet.write_table(pyarrow.table({**columns, **edges}), folder / "boxes.parquet")
    return folder / "boxes.parquet"


def make_mot(folder: Path, ids: list[int]) -> Path:
    rows = zip((1, 1, 2), ids, _corner_size(-1.5), strict=True)
    return _write(
        folder / "det.txt", "".join(f"{f},{i},{','.join(map(str, b))},0.9,-1,-1,-1\n" for f, i, b in rows)
    )


def make_coco(folder: Path, ids: list[int]) -> Path:
    names = ("C1_0", "C1_0", "C1_1")
    rows = [
        {"image_id": name, "category_id": 1, "track_id": i, "bbox": box, "score": 0.9}
        for name, i, box in zip(names, ids, _corner_size(-0.5), strict=True)
    ]
    return _write(folder / "results.json", json.dumps(rows))


def make_annotations(folder: Path, ids: list[int]) -> Path:
    folder = folder / "annotations_positions"
    folder.mkdir(exist_ok=True)
    for frame, rows in ((0, (0, 1)), (5, (2,))):
        people = [
            {
                "personID": ids[row],
                "positionID": 456826 + row,
                "views": [
                    {
                        "viewNum": 0,
                        **dict(zip(("xmin", "ymin", "xmax", "ymax"), BOXES[row].tolist(), strict=True)),
                    },
                    {"viewNum": 1, "xmin": -1, "ymin": -1, "xmax": -1, "ymax": -1},
                ],
            }
            for row in rows
        ]
        _write(folder / f"{frame:08d}.json", json.dumps(people))
    return folder


def make_cvml(folder: Path, ids: list[int]) -> Path:
    frames = []
    for frame, rows in ((0, (0, 1)), (1, (2,))):
        objects = "".join(_cvml_object(ids[row], BOXES[row] + 1.5) for row in rows)
        frames.append(f'<frame number="{frame}"><objectlist>{objects}</objectlist></frame>')
    return _write(folder / "result.xml", f"<?xml version='1.0'?><dataset>{''.join(frames)}</dataset>")


def _cvml_object(identity: int, box: np.ndarray) -> str:
    (xc, yc), (w, h) = (box[:2] + box[2:]) / 2, box[2:] - box[:2]
    return f'<object id="{identity}"><box h="{h}" w="{w}" xc="{xc}" yc="{yc}"/></object>'


def make_mvdetr(folder: Path, ids: list[int]) -> Path:
    rows = [[*box, -1, 0] for box in _corner_size(0.0)]
    return _write(folder / "boxes.json", json.dumps({"0": rows[:2], "1": rows[2:]}))


def make_cityflow(folder: Path, ids: list[int]) -> Path:
    rows = zip(ids, (1, 1, 6), _corner_size(-0.5), strict=True)
    return _write(
        folder / "gt.txt", "".join(f"1 {i} {f} {' '.join(map(str, b))} -1 -1\n" for i, f, b in rows)
    )


def make_meva(folder: Path, ids: list[int]) -> Path:
    header = "frame,time_s,track_id,object_id,type,x1,y1,x2,y2,key\n"
    rows = [
        f"{round(30 * t)},{t:.3f},{i},{i},person,{','.join(map(str, b + 0.5))},1\n"
        for t, i, b in zip(TIMES, ids, BOXES, strict=True)
    ]
    return _write(folder / "C1.csv", header + "".join(rows))


def make_fairmot(folder: Path, ids: list[int]) -> Path:
    rows = np.column_stack([BOXES, np.full(3, 0.9), np.eye(3)]).astype(np.float32)
    np.savez(folder / "C1.npz", **{"0": rows[:2], "1": rows[2:]})
    return folder / "C1.npz"


ONE_CAMERA = ReadOptions(camera="C1", fps=2.0)
SAMPLES = {
    "csv": Sample(make_csv, ReadOptions()),
    "jsonl": Sample(make_jsonl, ReadOptions()),
    "parquet": Sample(make_parquet, ReadOptions()),
    "mot": Sample(make_mot, ONE_CAMERA, -1.5),
    "coco": Sample(make_coco, ReadOptions(fps=2.0, image_pattern=r"(?P<camera>\w+)_(?P<frame>\d+)"), -0.5),
    "annotations": Sample(make_annotations, ReadOptions(fps=10.0)),
    "cvml": Sample(make_cvml, ONE_CAMERA, -1.5),
    "mvdetr": Sample(make_mvdetr, ReadOptions()),
    "cityflow": Sample(make_cityflow, ReadOptions(), -0.5),
    "meva": Sample(make_meva, ReadOptions(), -0.5),
    "fairmot": Sample(make_fairmot, ReadOptions(fps=2.0)),
}
