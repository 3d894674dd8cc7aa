"""Reads a map page back: its JSON, and the chunks of keys by the form that page_columns.py states."""

import base64
import json
import re
import struct
import zlib

import numpy as np
import pytest


def data_of(text):
    found = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)
    assert len(found) == 1
    return json.loads(found[0], parse_constant=lambda word: pytest.fail(f"{word} is not JSON"))


def chunks_of(text):
    """Of each chunk: keys (t, x, y, l0, l1, l2, level, state, life, cut) (K, 10) of each track's index."""
    parts = re.findall(r'<script type="text/plain" id="chunk-\d+">(.*?)</script>', text)
    return [unpacked(zlib.decompress(base64.b64decode(part), -15)) for part in parts]


def unpacked(content):
    (n,) = struct.unpack_from("<I", content)
    head = np.frombuffer(content, "<u4", 2 * n, 4).reshape(n, 2)
    total, at = int(head[:, 1].sum()), 4 + 8 * n
    columns = []
    for kind, width in [("<i4", 4)] * 3 + [("<i2", 2)] * 3 + [("u1", 1)] * 4:
        planes = np.frombuffer(content, "u1", width * total, at).reshape(width, total)
        columns.append(np.ascontiguousarray(planes.T).view(kind).ravel())
        at += width * total
    assert at == len(content)
    found, first = {}, 0
    for index, count in head.tolist():
        own = [column[first : first + count] for column in columns]
        sums = [np.cumsum(c, dtype=c.dtype).astype(float) for c in own[:6]]
        found[index] = np.column_stack([*sums, *own[6:]])
        first += count
    return found


def keys_of(text):
    """All keys of each track by number: t (s), x, y (m), logarithm of the covariance, level, state, life, cut."""
    data, found = data_of(text), {}
    for chunk in chunks_of(text):
        for index, keys in chunk.items():
            found.setdefault(data["tracks"][index][0], []).append(keys)
    every = {}
    for number, parts in found.items():
        rows = np.concatenate(parts)
        rows = rows[np.unique(rows[:, 0], return_index=True)[1]]
        rows[:, 0] *= 0.01
        rows[:, 1:3] *= 0.01
        rows[:, 3:6] = np.where(rows[:, 3:6] == -32768, np.nan, rows[:, 3:6] * 0.02)
        every[number] = rows
    return every
