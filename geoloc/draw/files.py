"""Files are written whole or not at all."""

import os
import secrets
from pathlib import Path

from geoloc.errors import InputError


def write_whole(path: str | Path, content: bytes) -> Path:
    """Write beside `path` under another name, then rename; InputError if that cannot be done."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        message = f"cannot write {path}: {error.strerror}; choose a file in a folder that can be written"
        raise InputError(message) from error
    return path
