"""The engine as recordings run it: online, linked, smoothed, and fusion alone."""

from dataclasses import dataclass

from geoloc.evaluation.recording import reported
from geoloc.pipeline.footprint import Footprint
from geoloc.pipeline.linking import link
from geoloc.pipeline.localizer import Localizer, LocalizerOptions, replay, windows
from geoloc.pipeline.smoothing import smooth
from geoloc.scene.site import Site
from geoloc.scene.tables import Detections, GroundPoints, Objects, Tracks

REAL = 0.5  # probability of existence from which an object or a track counts as a result


@dataclass(frozen=True, eq=False)
class Online:
    """What the engine gave, window by window: all tracks, tentative ones too, and the objects behind them."""

    tracks: Tracks
    objects: Objects
    points: GroundPoints


def run_online(detections: Detections, site: Site, options: LocalizerOptions) -> Online:
    """The engine as it runs live: nothing is known of later windows."""
    localizer = Localizer(site, options)
    tracks, objects, points = [], [], []
    for step in replay(localizer, detections):
        tracks.append(step)
        objects.append(localizer.objects)
        points.append(localizer.points)
    return Online(Tracks.concat(tracks), Objects.concat(objects), GroundPoints.concat(points))


def linked(online: Online, site: Site, options: LocalizerOptions) -> Online:
    """The tracks of the whole recording linked anew, with the points that lie behind their rows."""
    result = link(online.tracks, site, options.linking, online.points)
    return Online(result.tracks, online.objects, result.points)


def smoothed(online: Online, site: Site, options: LocalizerOptions) -> Tracks:
    """The tracks of the whole recording with what came after; filled gaps are guesses and not scored either."""
    return reported(smooth(online.tracks, site, options.tracking))


def fuse_alone(detections: Detections, site: Site, options: LocalizerOptions) -> Objects:
    """Objects of each window by itself, without a tracker; footprints are learned from window to window."""
    footprint = Footprint(site, options.footprint)
    names = [camera.name for camera in site.cameras]
    objects = []
    for window in windows(detections, options.window_s):
        fresh = Localizer(site, options)
        fresh.footprint = footprint
        fresh.step(window, cameras=names)
        objects.append(fresh.objects)
    return Objects.concat(objects)
