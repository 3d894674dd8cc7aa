"""The exact packages of a small machine: `requirements/edge.lock`, the core install with hashes.

    python tools/edge_lock.py make      # anew, of what the index in use has now (needs uv: pip install uv)
    python tools/edge_lock.py check     # that each has a wheel for 64-bit ARM whose hash is in the lock

Both ask whatever index pip or uv is set up for; nothing of it is written down.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements" / "edge.lock"
PYTHON = "3.11"
NEWEST_LIBC = 36  # glibc 2.36 is that of the container's system
OTHERS = r"== 'win32'|python_full_version >= '3\.1[2-9]|!= 'aarch64'"  # markers of packages for other machines
PLATFORMS = ("manylinux2014_aarch64", *(f"manylinux_2_{k}_aarch64" for k in range(17, NEWEST_LIBC + 1)))


def locked(text: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Version and SHA-256 hashes of each package that a lock has for Linux on 64-bit ARM."""
    found = {}
    for block in re.split(r"\n(?=[A-Za-z0-9])", text):
        head = re.match(r"([A-Za-z0-9._-]+)==([^\s;\\]+)([^\\\n]*)", block)
        if head and not re.search(OTHERS, head.group(3)):
            hashes = frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", block))
            found[head.group(1).lower()] = head.group(2), hashes
    return found


def make() -> None:
    """Write the lock anew."""
    LOCK.parent.mkdir(exist_ok=True)
    words = ["uv", "pip", "compile", "pyproject.toml", "--universal", "--python-version", PYTHON, "--generate-hashes"]
    words += ["--no-emit-index-url", "--no-annotate", "--upgrade", "--quiet", "--output-file", str(LOCK)]
    words += ["--custom-compile-command", "python tools/edge_lock.py make"]
    subprocess.run(words, cwd=ROOT, check=True)
    print(f"{LOCK.relative_to(ROOT)}: {len(locked(LOCK.read_text()))} packages")


def check() -> int:
    """Ask for each package's wheel for 64-bit ARM; the number of those that are missing."""
    missing = 0
    for name, (version, hashes) in locked(LOCK.read_text()).items():
        wheel, digest = wheel_of(name, version)
        wrong = "no wheel" if not wheel else "" if digest in hashes else "its hash is not in the lock"
        missing += bool(wrong)
        print(f"{name}=={version}: {wheel}{' ' * bool(wheel and wrong)}{wrong}")
    print(f"{missing} missing")
    return missing


def wheel_of(name: str, version: str) -> tuple[str, str]:
    """File and SHA-256 of a package's wheel for 64-bit ARM, by the index in use; nothing is installed."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--no-deps", "--ignore-installed"]
        words += ["--target", folder, "--only-binary=:all:", "--implementation", "cp", "--python-version", PYTHON]
        words += [word for platform in PLATFORMS for word in ("--platform", platform)]
        report = Path(folder) / "report.json"
        done = subprocess.run([*words, "--report", str(report), f"{name}=={version}"], capture_output=True)
        if done.returncode:
            return "", ""
        info = json.loads(report.read_text())["install"][0]["download_info"]
    return info["url"].rsplit("/", 1)[1], info["archive_info"].get("hashes", {}).get("sha256", "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Make or check; returns the exit status."""
    as_it_is = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=as_it_is)
    parser.add_argument("what", choices=("make", "check"))
    if parser.parse_args(arguments).what == "make":
        make()
        return 0
    return 1 if check() else 0


if __name__ == "__main__":
    sys.exit(main())
