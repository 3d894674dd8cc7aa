"""The grid of a row fitted to all lines that carry it: generalised least squares, a camera's error shared.

Unknown are the row's turn, its pitch, the place of each block, both edges and their shear. A line gives two rows: where
it lies across itself at its two ends. Their covariance is what pixels and paint leave, what each painter's hand is off,
and, common to all lines of a camera, what its calibration and the ground's height leave.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from geoloc.perception.ground_lines import GroundLine, camera_cov, sigma_z_at
from geoloc.perception.stall_rows import Row, dividers_u
from geoloc.scene.camera import Camera
from geoloc.scene.sitemap import Level

UNEVEN = 0.015  # m by which a painter is off his grid
END_SIGMA = 0.10  # m; where worn paint ends
OPEN_EDGE = 0.25  # m by which an edge may be off that no line across shows, however many dividers end there
GATE = 3.5  # sigmas beyond which a line is no part of the grid
SQUARE = 0.005  # rad; how nearly a row that looks square is
SLANTED = 0.3  # prior of a shear that is not
ROUNDS = 4


@dataclass(frozen=True, eq=False)
class FittedRow:
    """A row with `unknowns` (M,) and their `cov` (M, M): turn (rad), pitch, edges' v (2) m, shear, blocks' u (B) m.

    `centre` (2,) is the u, v about which it turns; `row.dividers` whose lines were all left out have none any more.
    """

    row: Row
    centre: np.ndarray
    unknowns: np.ndarray
    cov: np.ndarray
    n_lines: int
    chi2: float

    def corners(self, block: int, number: int) -> np.ndarray:
        """Corners (4, 2) m of the stall between a divider and the next: anticlockwise from its low edge."""
        return _corners(self.row, self.centre, self.unknowns, block, number)

    def corner_cov(self, block: int, number: int) -> np.ndarray:
        """Covariance (4, 2, 2) m² of each corner, the painter's hand included."""
        step, columns = 1e-5, []
        for k in range(len(self.unknowns)):
            move = np.zeros(len(self.unknowns))
            move[k] = step
            ends = [_corners(self.row, self.centre, self.unknowns + sign * move, block, number) for sign in (1, -1)]
            columns.append((ends[0] - ends[1]) / (2 * step))
        by = np.stack(columns, axis=-1)
        return np.asarray(np.einsum("cim,mn,cjn->cij", by, self.cov, by) + UNEVEN**2 * np.eye(2))


def fit_row(row: Row, cameras: Mapping[str, Camera], level: Level) -> FittedRow:
    """Fit a row; lines that contradict the others are left out."""
    centre = np.array([np.mean([dividers_u(row, divider) for divider in row.dividers]), np.mean(row.edges)])
    unknowns = np.array([0.0, row.pitch, *row.edges, row.shear, *row.starts])
    system = _System(row, centre, cameras, level)
    used = np.ones(len(system.lines), bool)
    cov, chi2 = np.eye(len(unknowns)), 0.0
    for _ in range(ROUNDS):
        unknowns, cov, off, chi2 = system.solve(unknowns, used)
        bad = used & (off > GATE)
        if not bad.any():
            break
        used &= off < max(GATE, 0.8 * float(off[used].max()))
    for side in (0, 1):
        if not row.closing[side]:  # dividers are cut off alike where a car or a post hides their ends
            cov[2 + side, 2 + side] += OPEN_EDGE**2
    return FittedRow(row, centre, unknowns, cov, int(used.sum()), chi2)


@dataclass(frozen=True)
class _Line:
    """A line of the grid: a divider of a block, or a part of an edge (`number` 0 or 1, `block` -1)."""

    line: GroundLine
    block: int
    number: int


class _System:
    """Rows of the least squares of one row of stalls."""

    def __init__(self, row: Row, centre: np.ndarray, cameras: Mapping[str, Camera], level: Level) -> None:
        self.row, self.centre, self.cameras, self.level = row, centre, cameras, level
        self.lines = [_Line(line, d.block, d.number) for d in row.dividers for line in d.lines]
        self.lines += [_Line(line, -1, side) for side in (0, 1) for line in row.closing[side]]

    def solve(self, at: np.ndarray, used: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
        """Unknowns and covariance after one step from `at`, how many sigmas each line is off, and chi2 a row."""
        values, by, noise, shared = self._rows(at)
        rows = np.flatnonzero(np.repeat(used, 2))
        cov = noise + shared
        normal, right = self._prior(at)
        weight = np.linalg.inv(cov[np.ix_(rows, rows)])
        normal = normal + by[rows].T @ weight @ by[rows]
        right = right + by[rows].T @ weight @ values[rows]
        for value, line, sigma in self._ends(at, used):
            normal += np.outer(line, line) / sigma**2
            right += line * value / sigma**2
        new_cov = np.linalg.inv(normal)
        step = new_cov @ right
        left = values - by @ step
        off = np.abs(left) / np.sqrt(np.diag(cov))
        chi2 = float(left[rows] @ weight @ left[rows]) / max(len(rows) - len(at), 1)
        return at + step, new_cov, off.reshape(-1, 2).max(axis=1), chi2

    def _prior(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What holds what no line says: a row is square if it looks so."""
        normal, right = np.eye(len(at)) * 1e-4, np.zeros(len(at))
        sigma = SQUARE if self.row.shear == 0 else SLANTED
        normal[4, 4] += 1 / sigma**2
        right[4] = (self.row.shear - at[4]) / sigma**2
        return normal, right

    def _rows(self, at: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """What is left over (2N,), its derivatives (2N, M), its own covariance and that which cameras share."""
        n, across, ahead = len(self.lines), self.row.across, self.row.ahead
        values, by = np.zeros(2 * n), np.zeros((2 * n, len(at)))
        noise, shared = np.zeros((2 * n, 2 * n)), np.zeros((2 * n, 2 * n))
        moves: dict[str, list[tuple[slice, np.ndarray]]] = {}
        hands: dict[tuple[int, int], list[slice]] = {}
        for i, each in enumerate(self.lines):
            pair = slice(2 * i, 2 * i + 2)
            u, v = each.line.ends @ across - self.centre[0], each.line.ends @ ahead - self.centre[1]
            if each.block >= 0:
                # turned by t about the centre: u = u0 - t v, v = v0 + t u, in the frame (across, ahead)
                want = at[5 + each.block] + each.number * at[1] - self.centre[0] - at[0] * v
                values[pair], way = u - want, across
                by[pair, 0], by[pair, 1], by[pair, 5 + each.block] = -v, each.number, 1.0
                hands.setdefault((each.block, each.number), []).append(pair)
            else:
                slope = at[4] + at[0] * (1 + at[4] ** 2)
                want = at[2 + each.number] - self.centre[1] + at[4] * self.centre[0] + slope * u
                values[pair], way = v - want, ahead - at[4] * across
                by[pair, 0] = u * (1 + at[4] ** 2)
                by[pair, 2 + each.number], by[pair, 4] = 1.0, self.centre[0] + u
                hands.setdefault((-1, each.number), []).append(pair)
            lift = float(way @ each.line.across)
            noise[pair, pair] = each.line.noise * lift**2
            moves.setdefault(each.line.camera, []).append((pair, each.line.by_calib * lift))
        for pairs in hands.values():
            for a in pairs:
                for b in pairs:
                    noise[a, b] += UNEVEN**2
        for camera, parts in moves.items():
            known = self._calibration(camera)
            for a, left in parts:
                for b, right in parts:
                    shared[a, b] += left @ known @ right.T
        return values, by, noise, shared

    def _calibration(self, name: str) -> np.ndarray:
        cov = camera_cov(self.cameras[name])
        sigma_z = sigma_z_at(self.level, self.centre[0] * self.row.across + self.centre[1] * self.row.ahead)
        both = np.zeros((len(cov) + 1,) * 2)
        both[:-1, :-1], both[-1, -1] = cov, sigma_z**2
        return both

    def _ends(self, at: np.ndarray, used: np.ndarray) -> list[tuple[float, np.ndarray, float]]:
        """Where dividers end, for an edge that no line across shows: rows of the least squares."""
        found = []
        for side in (0, 1):
            if any(used[i] and each.block < 0 and each.number == side for i, each in enumerate(self.lines)):
                continue
            for i, each in enumerate(self.lines):
                if each.block < 0 or not used[i]:
                    continue
                u, v = each.line.ends @ self.row.across, each.line.ends @ self.row.ahead
                end = int(v.argmin() if side == 0 else v.argmax())
                off = float(v[end] - at[2 + side] - at[4] * u[end])
                if abs(off) < 4 * END_SIGMA:
                    row = np.zeros(len(at))
                    row[2 + side], row[4] = 1.0, u[end]
                    along = each.line.sigma(self.cameras[each.line.camera], self.level)
                    found.append((off, row, float(np.hypot(END_SIGMA, each.line.coarse + 2 * along))))
        return found


def _corners(row: Row, centre: np.ndarray, unknowns: np.ndarray, block: int, number: int) -> np.ndarray:
    turn, pitch, low, high, shear = unknowns[:5].tolist()
    u = unknowns[5 + block] + pitch * np.array([number, number + 1, number + 1, number])
    v = np.array([low, low, high, high]) + shear * u
    u, v = u - centre[0], v - centre[1]
    u, v = u - turn * v + centre[0], v + turn * u + centre[1]
    corners = u[:, None] * row.across + v[:, None] * row.ahead
    x, y = (corners - corners.mean(axis=0)).T
    area = float(np.sum(x * np.roll(y, -1) - y * np.roll(x, -1)))
    return corners if area > 0 else corners[::-1]
