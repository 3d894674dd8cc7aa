"""The folders are the layers: a module imports its own folder and those above it, never a sibling."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import geoloc

PACKAGE = Path(geoloc.__file__).parent
ROWS = [
    ("errors",),
    ("files",),
    ("options",),
    ("compiled",),
    ("geometry",),
    ("metrics",),
    ("scene",),
    ("estimators",),
    ("features",),
    ("retrieval",),
    ("perception", "pipeline", "calibrate", "relocalize", "io"),
    ("synthetic",),
    ("draw",),
    ("evaluation",),
    ("service",),
    ("cli",),
]
ROW = {layer: number for number, row in enumerate(ROWS) for layer in row}
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.parent != PACKAGE or path.stem in ROW)
HEAVY = ("torch", "kornia", "open3d", "pycolmap", "matplotlib", "cv2", "pyarrow", "numba")


def imported_layers(source: str) -> set[str]:
    """Layers that a module imports, inside its functions too."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            module = node.module or ""
            names |= {f"geoloc.{alias.name}" for alias in node.names} if module == "geoloc" else {module}
    return {name.split(".")[1] for name in names if name.startswith("geoloc.")} & ROW.keys()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_imports_only_layers_above_it(path: Path) -> None:
    own = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    assert own in ROW, f"folder {own!r} has no place among the layers"
    for layer in imported_layers(path.read_text(encoding="utf-8")):
        assert layer == own or ROW[layer] < ROW[own], f"{own} must not import {layer}"


def test_a_lazy_import_is_seen_too() -> None:
    assert imported_layers("def f():\n    from geoloc.cli.main import main\n") == {"cli"}


def test_importing_every_public_name_loads_nothing_heavy() -> None:
    code = (
        "import sys, geoloc\n"
        "assert 'numpy' not in sys.modules\n"
        "[getattr(geoloc, name) for name in geoloc.__all__]\n"
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_type_checkers_see_the_names_that_are_loaded_lazily() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text(encoding="utf-8"))
    block = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {(node.module, alias.name) for node in block.body for alias in node.names}
    assert seen == {(module, name) for name, module in geoloc._HOME.items()}


def test_an_unknown_public_name_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'lokalize'"):
        geoloc.lokalize  # noqa: B018
