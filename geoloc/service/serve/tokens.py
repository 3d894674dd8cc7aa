"""Who may do what: tokens, each with scopes and sites. The file holds their SHA-256 only, never the tokens."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from geoloc.errors import InputError, unknown_name
from geoloc.scene import jsonfile

SCOPES = ("write", "read", "metrics", "erase", "relocalize", "search")
ALL_SITES = "*"
KEYS = ("name", "sha256", "scopes", "sites")


@dataclass(frozen=True)
class Token:
    """One who may come in. `name` is what logs say of it."""

    name: str
    digest: str  # SHA-256 of the token, hexadecimal
    scopes: frozenset[str]
    sites: frozenset[str]  # ALL_SITES among them: every one

    def may(self, scope: str, site: str = "") -> bool:
        """Whether it may do that, at that site where one is named."""
        return scope in self.scopes and (not site or site in self.sites or ALL_SITES in self.sites)


class Tokens:
    """Those who may come in."""

    def __init__(self, tokens: Collection[Token]) -> None:
        self._tokens = tuple(tokens)

    def find(self, secret: str) -> Token | None:
        """Whose token this is; it takes as long whichever it is."""
        digest, found = digest_of(secret), None
        for token in self._tokens:
            if hmac.compare_digest(token.digest, digest):
                found = token
        return found


def digest_of(secret: str) -> str:
    """What the file holds of a token."""
    return hashlib.sha256(secret.encode("utf-8", "replace")).hexdigest()


def one_for_all() -> tuple[Tokens, str]:
    """A new token that may do everything, for a service of this machine alone: and the token itself."""
    secret = secrets.token_urlsafe(24)
    return Tokens([Token("local", digest_of(secret), frozenset(SCOPES), frozenset({ALL_SITES}))]), secret


def read_tokens(path: Path, sites: Collection[str]) -> Tokens:
    """The tokens of a file; InputError, which never shows a digest, where it is not whole."""
    document = jsonfile.read_object(path)
    with jsonfile.naming(path):
        jsonfile.check_keys("the file", document, ("schema", "tokens"))
        jsonfile.check_schema(document, 1)
        found = [_token(one, sites) for one in jsonfile.sequence("'tokens'", document["tokens"])]
        if not found:
            raise InputError("holds no token; nobody could come in")
        for name in (token.name for token in found):
            if sum(token.name == name for token in found) > 1:
                raise InputError(f"two tokens are called {name!r}; give each its own name")
    return Tokens(found)


def _token(value: Any, sites: Collection[str]) -> Token:
    one = jsonfile.mapping("a token", value)
    jsonfile.check_keys("a token", one, KEYS)
    name = jsonfile.text("a token's 'name'", one["name"])
    with jsonfile.naming(f"token {name[:40]!r}"):
        if not isinstance(one["sha256"], str) or not re.fullmatch("[0-9a-f]{64}", one["sha256"]):
            raise InputError("'sha256' must be the 64 hexadecimal digits of the token's SHA-256")
        scopes, places = _names("scope", one["scopes"], SCOPES), _names("site", one["sites"], (*sites, ALL_SITES))
        return Token(name, one["sha256"], scopes, places)


def _names(kind: str, value: Any, known: Collection[str]) -> frozenset[str]:
    names = [jsonfile.text(f"a {kind}", name) for name in jsonfile.sequence(f"'{kind}s'", value)]
    for name in names:
        if name not in known:
            raise unknown_name(kind, name, known)
    return frozenset(names)
