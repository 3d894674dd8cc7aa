"""What moving cars and people do to the light on what stands still: shadows of lamps, and headlights."""

import numpy as np

from geoloc.synthetic.rendering.film_actors import Actor, Pose
from geoloc.synthetic.rendering.lighting import LAMP_POWER, REACH, contact

SHADOW_M = 5.0  # from a body, in which its shadows are drawn
SOFT = ((-0.3, 0.0), (0.3, 0.0))  # m along a tube, from where its light comes
CLEAR_M = 0.12  # m; a car's body starts so much over the floor
BEAM = 18.0  # of a pair of headlights, beside a lamp's LAMP_POWER
BEAM_M = 20.0
BEAM_WIDE, BEAM_HIGH, BEAM_DOWN = 0.4, 0.1, -0.05  # rad


def shadow_of(
    actor: Actor, pose: Pose, lamps: np.ndarray, xyz: np.ndarray, arriving: np.ndarray
) -> np.ndarray:
    """The share (N,) of the light `arriving` (N,) that a body leaves to places (N, 3) m on a floor.

    `lamps` (L, 3) m are those that shine.
    """
    left = np.ones(len(xyz), np.float32)
    if actor.car is not None:
        place = np.array([[*pose.xyz, pose.heading, actor.size[0]]])
        left *= contact(xyz, place)
    near = lamps[(np.linalg.norm(lamps[:, :2] - pose.xyz[:2], axis=1) < 9.0) & (lamps[:, 2] > pose.xyz[2])]
    near = near[near[:, 2] < pose.xyz[2] + 6.0]
    taken = np.zeros(len(xyz), np.float32)
    for lamp in near:
        away = lamp.astype(np.float32) - xyz
        square = (away**2).sum(axis=1)
        power = LAMP_POWER * np.maximum(away[:, 2] / np.sqrt(square), 0.12) ** 2 / (square + 0.4)
        power[np.hypot(away[:, 0], away[:, 1]) > REACH] = 0.0
        for dx, dy in SOFT:
            hidden = _crosses(actor, pose, xyz, lamp + np.array([dx, dy, 0.0]))
            taken += (power * hidden / len(SOFT)).astype(np.float32)
    return np.asarray(left * (1.0 - np.clip(0.85 * taken / np.maximum(arriving, 1e-3), 0.0, 0.9)))


def _crosses(actor: Actor, pose: Pose, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Whether the lines from places (N, 3) to `end` (3,) m pass through the box of a body."""
    cos, sin = np.cos(pose.heading), np.sin(pose.heading)
    turn = np.array([[cos, sin, 0.0], [-sin, cos, 0.0], [0.0, 0.0, 1.0]])
    turn = turn.astype(np.float32)
    own, way = (start - pose.xyz.astype(np.float32)) @ turn.T, (end.astype(np.float32) - start) @ turn.T
    half = 0.5 * actor.size * (0.94, 0.94, 1.0) if actor.car is not None else 0.5 * np.array([0.3, 0.42, actor.size[2]])
    floor = CLEAR_M if actor.car is not None else 0.0
    low = np.array([-half[0], -half[1], floor])
    high = np.array([half[0], half[1], (0.92 if actor.car is not None else 1.0) * actor.size[2]])
    first, last = np.zeros(len(start), np.float32), np.ones(len(start), np.float32)
    for axis in range(3):
        with np.errstate(divide="ignore", invalid="ignore"):
            a, b = (low[axis] - own[:, axis]) / way[:, axis], (high[axis] - own[:, axis]) / way[:, axis]
        np.fmax(first, np.fmin(a, b), out=first)
        np.fmin(last, np.fmax(a, b), out=last)
    return np.asarray(last > first)


def headlights(actor: Actor, pose: Pose) -> np.ndarray:
    """Where a car's two headlights are: (2, 3) m."""
    ahead = np.array([np.cos(pose.heading), np.sin(pose.heading), 0.0])
    aside = np.array([-ahead[1], ahead[0], 0.0])
    front = pose.xyz + 0.49 * actor.size[0] * ahead + [0.0, 0.0, 0.62]
    return np.stack([front + side * 0.36 * actor.size[1] * aside for side in (-1, 1)])


def beam(actor: Actor, pose: Pose, xyz: np.ndarray, normal: np.ndarray) -> np.ndarray:
    """Light (N,) that a car's headlights throw on places (N, 3) m with normals (N, 3)."""
    light = np.zeros(len(xyz), np.float32)
    cos, sin = np.cos(pose.heading), np.sin(pose.heading)
    for lamp in headlights(actor, pose):
        away = xyz - lamp
        ahead, aside = away[:, 0] * cos + away[:, 1] * sin, away[:, 1] * cos - away[:, 0] * sin
        near = np.flatnonzero((ahead > 0.3) & (ahead < BEAM_M) & (np.abs(aside) < ahead))
        ahead, aside, up = ahead[near], aside[near], away[near, 2]
        far = np.sqrt(ahead**2 + aside**2 + up**2)
        wide, high = np.arctan2(aside, ahead) / BEAM_WIDE, (np.arctan2(up, ahead) - BEAM_DOWN) / BEAM_HIGH
        facing = np.maximum(-(normal[near] * away[near]).sum(axis=1) / far, 0.0)
        light[near] += 0.5 * BEAM * np.exp(-0.5 * (wide**2 + high**2)) * facing / (far**2 + 0.5)
    return light
