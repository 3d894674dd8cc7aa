"""Stills of a site's cameras: one picture a camera, named after it."""

from dataclasses import dataclass
from pathlib import Path

from geoloc.errors import InputError

KINDS = {".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".png": "image/png", ".webp": "image/webp", ".bmp": "image/bmp"}
UPRIGHT = 1
ORIENTATION = 274  # tag of EXIF


@dataclass(frozen=True)
class Still:
    """A camera's picture; `size` is (width, height) px."""

    camera: str
    path: Path
    size: tuple[int, int]

    @property
    def content_type(self) -> str:
        """What a browser is told that it is."""
        return KINDS[self.path.suffix.lower()]


def find_stills(folder: Path | str) -> tuple[Still, ...]:
    """The stills of a folder, sorted by camera; two of one camera, and folders without any, are refused."""
    found: dict[str, Path] = {}
    for path in sorted(Path(folder).glob("*")):
        if path.suffix.lower() not in KINDS or not path.is_file():
            continue
        if path.stem in found:
            raise InputError(f"{folder}: two stills of camera {path.stem!r} ({found[path.stem].name}, {path.name})")
        found[path.stem] = path
    if not found:
        raise InputError(f"{folder}: no stills; put one picture a camera there, such as gate.jpg of camera 'gate'")
    return tuple(Still(camera, path, picture_size(path)) for camera, path in found.items())


def picture_size(path: Path) -> tuple[int, int]:
    """Width and height (px) of a picture; one that its EXIF tag turns is refused: programs differ on its pixels."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            turned = picture.getexif().get(ORIENTATION, UPRIGHT) != UPRIGHT
            size = picture.size
            picture.load()  # a file that was cut off has a size too
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError, SyntaxError) as error:
        raise InputError(f"{path}: no picture that can be read ({error})") from error
    if turned:
        raise InputError(f"{path}: its EXIF tag turns or mirrors it; save it upright, without the tag")
    return size
