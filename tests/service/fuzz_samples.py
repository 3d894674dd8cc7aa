"""Packets that are broken in every way that a seed can think of, made from those of a recording."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
from serve_samples import plaza_boxes

from geoloc.service.serve.heard import lines_of
from geoloc.service.serve.sender import batches_of

HOSTILE: tuple[Any, ...] = (
    None, True, "", "\u0000", "../../etc/passwd", "'; DROP TABLE positions; --", "\u202e", "x" * 5000, -1, 0, 1e308,
    -1e308, 2**63, 10**400, 1e-320, [], {}, [[]], {"a": {}}, [1, 2, 3], [0, 0, 0, 0], [1e7] * 4, "NaN", 1.8e12,
)  # fmt: skip
DEEP = b"[" * 3000, b'{"a":' * 3000
TEXTS = (b"NaN", b"-Infinity", b"1e999", *DEEP, b"\xff\xfe", b"\xed\xa0\x80", b"\x00", b"\r\n\r\n")


def packets() -> list[bytes]:
    """Good ones, of a few frames."""
    return [lines_of(batch) for _, batch in batches_of(plaza_boxes(3.0), 0.1)]


def fuzzed(n: int, seed: int) -> Iterator[bytes]:
    """So many packets; the same for the same seed. Some are good, some are good for something else."""
    rng, good = np.random.default_rng(seed), packets()
    for _ in range(n):
        body = good[int(rng.integers(len(good)))]
        for _ in range(int(rng.integers(0, 3))):
            body = KINDS[int(rng.integers(len(KINDS)))](body, rng)
        yield body[:200_000]


def _flipped(body: bytes, rng: np.random.Generator) -> bytes:
    data = bytearray(body or b"{")
    for place in rng.integers(0, len(data), int(rng.integers(1, 6))).tolist():
        data[place] ^= 1 << int(rng.integers(8))
    return bytes(data)


def _cut(body: bytes, rng: np.random.Generator) -> bytes:
    return body[: int(rng.integers(0, len(body) + 1))]


def _spliced(body: bytes, rng: np.random.Generator) -> bytes:
    a, b, c = sorted(rng.integers(0, len(body) + 1, 3).tolist())
    return body[:b] + body[a:c] + body[b:]


def _put_in(body: bytes, rng: np.random.Generator) -> bytes:
    place, text = int(rng.integers(0, len(body) + 1)), TEXTS[int(rng.integers(len(TEXTS)))]
    return body[:place] + text + body[place:]


def _swapped(body: bytes, rng: np.random.Generator) -> bytes:
    """A value somewhere in a line becomes another, or a key does."""
    lines = body.split(b"\n")
    k = int(rng.integers(len(lines)))
    try:
        frame = json.loads(lines[k])
    except (ValueError, RecursionError):
        return body
    value = HOSTILE[int(rng.integers(len(HOSTILE)))]
    spot = frame
    while isinstance(spot, (dict, list)) and spot:
        keys = list(spot) if isinstance(spot, dict) else range(len(spot))
        key = keys[int(rng.integers(len(keys)))]
        if rng.random() < 0.4 or not isinstance(spot[key], (dict, list)):
            if isinstance(spot, dict) and rng.random() < 0.2:
                spot[str(value)[:50]] = spot.pop(key)
            else:
                spot[key] = value
            break
        spot = spot[key]
    lines[k] = json.dumps(frame).encode()
    return b"\n".join(lines)


def _late(body: bytes, rng: np.random.Generator) -> bytes:
    """The same boxes at another time: late, early, of another century."""
    shift = float(rng.choice([-3600.0, -5.0, 0.05, 5.0, 50.0, 1e5, 1e9, -1.7e9]))
    lines = []
    for line in body.split(b"\n"):
        try:
            frame = json.loads(line)
            frame["time"] = frame["time"] + shift
            lines.append(json.dumps(frame).encode())
        except (ValueError, RecursionError, TypeError, KeyError):
            lines.append(line)
    return b"\n".join(lines)


def _packed(body: bytes, rng: np.random.Generator) -> bytes:
    return gzip.compress(body, 1)


def _bomb(body: bytes, rng: np.random.Generator) -> bytes:
    return gzip.compress(b" " * int(rng.integers(1, 20_000_000)), 1) if rng.random() < 0.05 else gzip.compress(body, 1)


KINDS = (_flipped, _cut, _spliced, _put_in, _swapped, _swapped, _late, _packed, _bomb)
