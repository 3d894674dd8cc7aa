"""YAML in, strictly: one document of mappings, lists, numbers and text; nothing is constructed but these."""

import re
from pathlib import Path
from typing import Any

from geoloc.errors import InputError
from geoloc.files import read_text

# as YAML 1.2 has it; PyYAML takes 1e-05, which many programs write, for text
FLOAT = r"[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+"


def read_yaml(path: Path | str) -> dict[str, Any]:
    """The mapping in a YAML file; InputError that names the file, line and column where it breaks.

    OpenCV's own first line, `%YAML:1.0`, which YAML does not allow, is passed over.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        """Refuses aliases, by which a small file can stand for a huge one."""

        def compose_node(self, parent: Any, index: Any) -> Any:
            if self.check_event(yaml.AliasEvent):
                raise InputError(f"{path}: YAML with an alias (*name); write out what it stands for")
            return super().compose_node(parent, index)

    Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(f"^{FLOAT}$"), list("-+.0123456789"))
    text = read_text(path)
    text = text.partition("\n")[2] if text.startswith("%YAML:") else text
    try:
        found = yaml.load(text, Loader)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        why = getattr(error, "problem", None) or str(error)
        raise InputError(f"{path}: YAML breaks{where} ({why}); is it truncated?") from error
    if not isinstance(found, dict) or not all(isinstance(key, str) for key in found):
        raise InputError(f"{path}: holds a YAML {type(found).__name__}; it must be a mapping of names")
    return found


def flow(values: object) -> str:
    """Nested lists of numbers as a YAML flow sequence with all their digits."""
    return "[" + ", ".join(map(flow, values)) + "]" if isinstance(values, list) else repr(values)
