"""HTML pages that need no network: one head for all of them, and templates whose {{places}} are filled."""

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from geoloc.draw.style import DARK, LIGHT, css_variables

PLACE = re.compile(r"\{\{(\w+)\}\}")


def fill_page(body: str, places: Mapping[str, str]) -> str:
    """A page: the common head, then the template `body`, their places filled.

    `places` are markup, among them "title" and "style". All are filled in one pass, so that what looks like a place
    in what is filled in stays as it is.
    """
    filled = {"light": css_variables(LIGHT), "dark": css_variables(DARK), **places}
    return PLACE.sub(lambda place: filled[place[1]], asset("head.html") + body)


@cache
def asset(name: str, package: str = "geoloc.draw") -> str:
    """The text of a file among a package's assets."""
    return (files(package) / "assets" / name).read_text(encoding="utf-8")
