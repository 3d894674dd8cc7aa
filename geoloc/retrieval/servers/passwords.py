"""What a server asks for before it answers: taken from the environment or from a file, never written down here.

    GEOLOC_PGVECTOR_PASSWORD       the password of the user in the address
    GEOLOC_OPENSEARCH_PASSWORD     the same
    GEOLOC_MILVUS_PASSWORD         "user:password", or a key

The setting `password_file` names a file that holds it instead.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, urlsplit

from geoloc.errors import InputError

HIDDEN = "..."
SECRET = ("password", "sslpassword", "token")  # what parts of an address, and settings, are called that hold one
BEFORE_HOST = re.compile(r"(://[^:/@?#]*:)[^/?#]*@")
IN_QUERY = re.compile(rf"([?&](?:{'|'.join(SECRET)})=)[^&#]+", re.IGNORECASE)


def variable(index: str) -> str:
    """The environment variable that holds the password of an index of INDEXES."""
    return f"GEOLOC_{index.upper()}_PASSWORD"


def password_of(index: str, file: str = "") -> str:
    """The password from `file`, or from the environment; empty where there is none. A line's end is not part of it."""
    if not file:
        return os.environ.get(variable(index), "")
    try:
        return Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or "it is no text"
        raise InputError(f"index {index!r}: password_file {file}: cannot be read ({said})") from error


def with_password(uri: str, password: str) -> str:
    """An address that has a user and no password, with this one; any other as it is."""
    parts = urlsplit(uri)
    if not password or not parts.username or parts.password is not None:
        return uri
    user, _, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user}:{quote(password, safe='')}@{host}").geturl()


def without_password(uri: str) -> str:
    """An address as it may be shown; several by commas."""
    return IN_QUERY.sub(rf"\1{HIDDEN}", BEFORE_HOST.sub(rf"\1{HIDDEN}@", uri))


def refuse_secrets(index: str, place: str, settings: Mapping[str, object]) -> None:
    """InputError where a password would be written down with an index's place and settings."""
    told = without_password(place) != place
    named = next((name for name in SECRET if settings.get(name)), None)
    if told or named is not None:
        where = f"its address {without_password(place)}" if told else f"its setting {named!r}"
        raise InputError(
            f'index "{index}": a password is in {where}, and gallery.json would hold it for all to read; take it out, '
            f"and set {variable(index)} in the environment, or the setting password_file to a file that holds it"
        )

