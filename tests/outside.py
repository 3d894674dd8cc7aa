"""Libraries that need something of the system: tests that use them skip where it is absent, and say what to install."""

from types import ModuleType

import pytest


def opencv() -> ModuleType:
    """cv2, or a skip."""
    said = "OpenCV cannot be loaded; on Debian: apt-get install libgl1 libglib2.0-0"
    return pytest.importorskip("cv2", exc_type=ImportError, reason=said)


def open3d() -> ModuleType:
    """open3d, or a skip."""
    try:
        import open3d as module
    except (ImportError, OSError) as error:  # OSError: a library that it loads itself
        said = "pip install 'geoloc[mesh]' and, on Debian, apt-get install libegl1 libusb-1.0-0"
        pytest.skip(f"open3d cannot be loaded ({error}); {said}")
    return module
