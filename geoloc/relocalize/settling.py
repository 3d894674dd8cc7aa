"""A model of pictures brought into the site: to the cameras that are known, and adjusted beside them as they stand."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from geoloc.errors import GeometryError
from geoloc.estimators.bundle import adjust, bundle
from geoloc.estimators.camera_prior import CameraPrior
from geoloc.estimators.network import Network, Sights
from geoloc.estimators.network_rows import geman_mcclure, huber
from geoloc.relocalize.landmarks import FeatureNoise
from geoloc.relocalize.structure import Model, align
from geoloc.scene.camera import Camera

CENTRE_SIGMA = 0.05  # m; of a known camera that states no covariance, when a model is brought to it
NEAR, FAR = 2.0, 4.0  # sigmas beyond which a sight pulls less, and hardly any more
FITS = 0.5  # weight of a sight that agrees
FEWEST_FIT = 0.5  # share of the sights of the known cameras that must agree: else the model is bent
FOCAL_SPREAD, CENTRE_SPREAD = 0.5, 0.01  # of unknown lenses: sigma of log f, and of the middle in longer sides
FREED = ("f", "k1", "k2")


def settled(model: Model, known: Mapping[str, Camera]) -> tuple[Camera, ...]:
    """The model's cameras in the frame of the `known` ones, which stay as they are; the others carry a `calib_cov`.

    GeometryError where fewer than three known cameras are in the model, or where it does not fit them: a model is
    bent where its pictures share little, and then no similarity brings it to the site.
    """
    held = np.array([camera.name in known for camera in model.cameras])
    network = _network(model, _placed(model, known), held)
    rough = adjust(network, huber(NEAR)).state
    cameras = tuple(
        replace(camera, cam_from_world=rough.poses[i], lens=type(camera.lens)(rough.params[i]))  # type: ignore[call-arg]
        for i, camera in enumerate(network.cameras)
    )
    found = bundle(replace(network, cameras=cameras, points=rough.points), geman_mcclure(FAR))
    _refuse_bent(network, found.weight, held)
    fit = found.weight > FITS
    off2 = (found.residual**2).sum(axis=1) / network.sights.sigma**2 / 2.0
    worse = max(float(np.median(off2[fit]) / np.log(2.0)), 1.0) if fit.any() else 1.0  # of two degrees of freedom
    return tuple(
        camera if own else replace(camera, calib_cov=worse * camera.calib_cov)
        for camera, own in zip(found.cameras, held.tolist(), strict=True)
    )


def _placed(model: Model, known: Mapping[str, Camera]) -> tuple[tuple[Camera, ...], np.ndarray]:
    """Cameras and points brought to the known centres by a similarity, the known cameras as they are."""
    centres = {name: camera.centre_world for name, camera in known.items()}
    covs = {name: _centre_cov(camera) for name, camera in known.items()}
    aligned, _ = align(model.cameras, centres, covs)
    return tuple(known.get(camera.name, camera) for camera in aligned), _carried(model, aligned)


def _carried(model: Model, aligned: Sequence[Camera]) -> np.ndarray:
    """The model's points (P, 3) where the similarity takes them, which its cameras tell."""
    before = np.array([camera.centre_world for camera in model.cameras])
    after = np.array([camera.centre_world for camera in aligned])
    turn = aligned[0].cam_from_world.rotation.inv() * model.cameras[0].cam_from_world.rotation
    centred = before - before.mean(axis=0)
    scale = float(np.linalg.norm(after - after.mean(axis=0)) / np.linalg.norm(centred))
    return np.asarray(scale * turn.apply(model.points - before.mean(axis=0)) + after.mean(axis=0))


def _network(model: Model, placed: tuple[tuple[Camera, ...], np.ndarray], held: np.ndarray) -> Network:
    """Everything that sees a point from before it, as a network with the known cameras held."""
    cameras, points = placed
    before = np.zeros(len(model.image), bool)
    for i, camera in enumerate(cameras):
        rows = np.flatnonzero(model.image == i)
        before[rows] = np.isfinite(camera.project(points[model.point[rows]])).all(axis=1)
    views = np.bincount(model.point[before], minlength=len(points))
    before &= views[model.point] >= 2
    names, point = np.unique(model.point[before], return_inverse=True)
    sigma = FeatureNoise().sigma(model.scale[before])
    # held cameras have lenses of their own numbers: what is known is not shared with what is not
    lens = np.unique(np.where(held, len(cameras) + np.arange(len(cameras)), model.lens), return_inverse=True)[1]
    first = [int(np.argmax(lens == number)) for number in range(int(lens.max()) + 1)]
    return Network(
        cameras=cameras,
        points=points[names],
        sights=Sights(model.image[before], point, model.pixels[before], sigma),
        lens=lens,
        freed=tuple(() if held[i] else FREED for i in first),
        priors=tuple(None if held[i] else _prior(cameras[i]) for i in first),
        held=held,
    )


def _prior(camera: Camera) -> CameraPrior:
    focal, _, u, v = camera.lens.params[:4].tolist()
    return CameraPrior(focal, FOCAL_SPREAD, (u, v), CENTRE_SPREAD * max(camera.size))


def _refuse_bent(network: Network, weight: np.ndarray, held: np.ndarray) -> None:
    """Compare what known cameras see with where the model has it."""
    own = held[network.sights.camera]
    share = float((weight[own] > FITS).mean()) if own.any() else 0.0
    if share < FEWEST_FIT:
        raise GeometryError(
            f"landmarks: the model of {len(network.cameras)} pictures does not fit the {held.sum()} cameras of the site "
            f"in it: only {share:.0%} of what they see lies where the model has it; give more pictures that overlap by "
            "half, from the cameras' views on"
        )


def _centre_cov(camera: Camera) -> np.ndarray:
    turn = camera.cam_from_world.rotation.as_matrix()
    return np.asarray(turn.T @ camera.calib_cov[3:6, 3:6] @ turn + CENTRE_SIGMA**2 * np.eye(3))
