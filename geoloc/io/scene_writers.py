"""A site's shape as glTF 2.0 (.glb) and PLY: levels, stalls, cameras as frusta, landmarks and the tracks' paths.

glTF: a node of its own name for each thing, below one that turns z up into the form's y up; metres from the datum,
and a camera's lens beside its node (`extras`). PLY: one vertex list with colours, faces and edges, ASCII header and
binary little-endian numbers (x, y, z as doubles); a viewer that knows no edges shows their ends as points.
"""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from geoloc.io.scene_meshes import COLOURS, Part, scene_parts
from geoloc.io.track_options import WriteOptions
from geoloc.io.track_pieces import Recording
from geoloc.scene.site import Site

MODES = {3: 4, 2: 1, 1: 0}  # corners of a cell: TRIANGLES, LINES, POINTS
FLOAT, UINT = 5126, 5125
VERTICES, INDICES = 34962, 34963
Y_UP = [-np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5)]  # turn by -90 degrees around x


def write_glb(path: Path, recording: Recording, options: WriteOptions) -> None:
    """Write glTF in its binary form."""
    parts = scene_parts(recording)
    content, data = _gltf(recording.site, parts)
    head = json.dumps(content, ensure_ascii=False).encode("utf-8")
    head += b" " * (-len(head) % 4)
    data += b"\0" * (-len(data) % 4)
    total = 12 + 8 + len(head) + 8 + len(data)
    with open(path, "wb") as file:
        file.write(struct.pack("<4sII", b"glTF", 2, total))
        file.write(struct.pack("<I4s", len(head), b"JSON") + head)
        file.write(struct.pack("<I4s", len(data), b"BIN\0") + data)


def write_ply(path: Path, recording: Recording, options: WriteOptions) -> None:
    """Write binary PLY."""
    parts = scene_parts(recording)
    starts = np.cumsum([0, *(len(part.xyz) for part in parts)])[:-1].tolist()
    vertices = np.zeros(sum(len(part.xyz) for part in parts), [("xyz", "<f8", 3), ("rgb", "u1", 3)])
    if parts:
        vertices["xyz"] = np.concatenate([part.xyz for part in parts])
        vertices["rgb"] = np.concatenate([np.tile(COLOURS[part.kind], (len(part.xyz), 1)) for part in parts])
    cells = {
        n: [part.cells + start for part, start in zip(parts, starts, strict=True) if part.cells.shape[1] == n]
        for n in (3, 2)
    }
    corners = np.concatenate([np.zeros((0, 3), int), *cells[3]])
    ends = np.concatenate([np.zeros((0, 2), int), *cells[2]])
    faces = np.zeros(len(corners), [("n", "u1"), ("corners", "<i4", 3)])
    faces["n"], faces["corners"] = 3, corners
    header = (
        f"ply\nformat binary_little_endian 1.0\ncomment metres: x east, y north, z up\nelement vertex {len(vertices)}\n"
        "property double x\nproperty double y\nproperty double z\n"
        "property uchar red\nproperty uchar green\nproperty uchar blue\n"
        f"element face {len(faces)}\nproperty list uchar int vertex_indices\n"
        f"element edge {len(ends)}\nproperty int vertex1\nproperty int vertex2\nend_header\n"
    )
    with open(path, "wb") as file:
        file.write(header.encode("ascii"))
        file.write(vertices.tobytes() + faces.tobytes() + ends.astype("<i4").tobytes())


def _gltf(site: Site, parts: list[Part]) -> tuple[dict[str, Any], bytes]:
    """The JSON of the form and its buffer."""
    data = bytearray()
    views: list[dict[str, Any]] = []
    accessors: list[dict[str, Any]] = []

    def put(array: np.ndarray, target: int, said: dict[str, Any]) -> int:
        raw = array.tobytes()
        views.append({"buffer": 0, "byteOffset": len(data), "byteLength": len(raw), "target": target})
        accessors.append({"bufferView": len(views) - 1, **said})
        data.extend(raw)
        return len(accessors) - 1

    kinds, meshes, nodes = list(COLOURS), [], []
    for part in parts:
        xyz, cells = part.xyz.astype("<f4"), part.cells.astype("<u4").ravel()
        bounds = {"min": xyz.min(axis=0).tolist(), "max": xyz.max(axis=0).tolist()}
        place = put(xyz, VERTICES, {"componentType": FLOAT, "count": len(xyz), "type": "VEC3", **bounds})
        order = put(cells, INDICES, {"componentType": UINT, "count": len(cells), "type": "SCALAR"})
        mode, material = MODES[part.cells.shape[1]], kinds.index(part.kind)
        shape = {"attributes": {"POSITION": place}, "indices": order, "mode": mode, "material": material}
        meshes.append({"name": part.name, "primitives": [shape]})
        nodes.append({"name": part.name, "mesh": len(meshes) - 1, "extras": {"kind": part.kind, **_lens(site, part)}})
    datum = site.site_map.datum
    where = {"datum": [datum.lat_deg, datum.lon_deg, datum.height]} if datum else {}
    top = {"name": site.name, "rotation": Y_UP, "extras": where}
    content: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": "geoloc"},
        "scene": 0,
        "scenes": [{"nodes": [len(nodes)]}],
        "nodes": [*nodes, {**top, "children": list(range(len(nodes)))} if nodes else top],
    }
    if parts:
        content |= {"meshes": meshes, "accessors": accessors, "bufferViews": views}
        content |= {"buffers": [{"byteLength": len(data)}], "materials": [_material(kind) for kind in kinds]}
    return content, bytes(data)


def _material(kind: str) -> dict[str, Any]:
    colour = [*(value / 255 for value in COLOURS[kind]), 1.0]
    return {"name": kind, "doubleSided": True, "pbrMetallicRoughness": {"baseColorFactor": colour, "metallicFactor": 0}}


def _lens(site: Site, part: Part) -> dict[str, Any]:
    if part.kind != "camera":
        return {}
    camera = site.camera(part.name)
    return {"lens": dict(zip(camera.lens.parameter_names, camera.lens.params.tolist(), strict=True))}
