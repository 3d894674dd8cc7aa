"""The board's slip: how far it moved between the moments at which two cameras exposed the same view.

Nobody holds a board quite still, and cameras do not expose quite at once: in a rig every picture sees the board a
little turned and shifted from where the view has it. The slip of a picture is a turn (rad) about the board's middle
and a shift (m), drawn anew for every picture. It is a random effect: its gradient G widens the residuals' covariance
of a picture to sigma² I + G S G', which is taken out here by Woodbury's identity, and S is estimated from the slips
found, as by restricted maximum likelihood. Without it, residuals that pictures share would pass as many.
"""

from dataclasses import dataclass

import numpy as np

from geoloc.geometry.se3 import cross_matrix

LEAST_TURN, LEAST_SHIFT = 1e-6, 1e-7  # rad, m: nothing


@dataclass(frozen=True)
class Slip:
    """Standard deviation of each component of a picture's slip: turn (rad) and shift (m)."""

    turn: float
    shift: float

    @property
    def scale(self) -> np.ndarray:
        """Of turn and shift (6,)."""
        return np.array([self.turn] * 3 + [self.shift] * 3)


@dataclass(frozen=True, eq=False)
class Slips:
    """What the pictures of one camera say of their slips: (V, 6) in sigmas, and their mean squares (V, 6).

    Rows of views that the camera does not see are NaN.
    """

    slip: np.ndarray
    square: np.ndarray


@dataclass(frozen=True, eq=False)
class Pull:
    """The gradient (n, 2, 6) of a camera's n corners by slips in sigmas, and a factor L of (I + G'G)⁻¹ of V views."""

    gradient: np.ndarray
    factor: np.ndarray
    view: np.ndarray

    @classmethod
    def of(
        cls, by_world: np.ndarray, world: np.ndarray, view: np.ndarray, n_views: int, slip: Slip, sigma_px: float
    ) -> "Pull":
        """For derivatives (n, 2, 3) px/m of pixels by points `world` (n, 3) m that are seen in views (n,)."""
        count = np.maximum(np.bincount(view, minlength=n_views), 1)[:, None]
        middle = np.stack([np.bincount(view, column, n_views) for column in world.T], axis=1) / count
        turn = -by_world @ cross_matrix(world - middle[view])
        gradient = np.concatenate([turn, by_world], axis=2) * slip.scale / sigma_px
        gram = np.zeros((n_views, 6, 6))
        np.add.at(gram, view, gradient.transpose(0, 2, 1) @ gradient)
        return cls(gradient, np.linalg.cholesky(np.linalg.inv(np.eye(6) + gram)), view)

    def part(self, values: np.ndarray) -> np.ndarray:
        """What slips take up of whitened `values` (n, 2, k): (V, 6, k), to be taken off as its square."""
        pulled = np.zeros((len(self.factor), 6, values.shape[2]))
        np.add.at(pulled, self.view, self.gradient.transpose(0, 2, 1) @ values)
        return np.asarray(self.factor.transpose(0, 2, 1) @ pulled)

    def slips(self, residual: np.ndarray, by_view: np.ndarray, view_cov: np.ndarray) -> Slips:
        """Slips out of whitened residuals (n, 2), where the boards' poses are as uncertain as `view_cov` (V, 6, 6)."""
        found = (self.factor @ self.part(residual[:, :, None]))[:, :, 0]
        by_pose = self.factor @ self.part(by_view)
        square = found**2 + (self.factor**2).sum(axis=2) + np.einsum("vai,vij,vaj->va", by_pose, view_cov, by_pose)
        unseen = np.bincount(self.view, minlength=len(found)) == 0
        found[unseen], square[unseen] = np.nan, np.nan
        return Slips(found, square)


def next_slip(slip: Slip, slips: tuple[Slips, ...]) -> Slip:
    """A better estimate of the slip's sigmas out of all cameras' pictures (a step of expectation maximisation)."""
    square = np.concatenate([one.square for one in slips])
    turn, shift = np.sqrt(np.nanmean(square.reshape(-1, 2, 3), axis=(0, 2)))
    return Slip(max(slip.turn * float(turn), LEAST_TURN), max(slip.shift * float(shift), LEAST_SHIFT))
