"""`geoloc calibrate SITE --versions` and `--roll-back N`: who calibrated when, from what, and what it changed."""

from geoloc.calibrate.changes import changes
from geoloc.scene.camera import Camera
from geoloc.scene.sitemap import SiteMap
from geoloc.scene.versions import Version

SHOWN = 8  # characters of a hash


def history_text(versions: tuple[Version, ...], site_map: SiteMap) -> str:
    """Every version, the oldest first: who and why, which inputs are new, what it changed on the ground."""
    lines: list[str] = []
    inputs: dict[str, str] = {}
    for number, version in enumerate(versions):
        lines.append(str(version))
        marked = [
            f"{name} {value[:SHOWN]}{'' if inputs.get(name) == value else ' (new)'}"
            for name, value in version.inputs.items()
        ]
        lines += [f"  from {', '.join(marked)}"] if marked else []
        inputs |= version.inputs
        if number:
            lines += [f"  {words}" for words in changed(versions[number - 1].cameras, version.cameras, site_map)]
    return "\n".join(lines)


def changed(before: tuple[Camera, ...], after: tuple[Camera, ...], site_map: SiteMap) -> list[str]:
    """What became of cameras, in lines; those that are as before are not told."""
    found = [str(change) for change in changes(before, after, site_map) if change.state != "same"]
    return found or ["all cameras as before"]
