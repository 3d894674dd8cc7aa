"""What README.md and docs/calibration.md show of calibration: output and pictures, from the synthetic trial site.

`python tools/readme.py calibration` runs it.
"""

import shlex
import shutil
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import TYPE_CHECKING

from geoloc.cli import mark
from geoloc.files import write_whole

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
SHOWN = "p1-aisle-s-west"  # the camera whose card is shown
MARKED, LEVEL = "p2-southwest", 1  # the camera and the number of the level that are open on the marking page
OUTPUT = "$ geoloc calibrate garage --root out/trial --stills out/trial/stills -o out/trial/calibration.html\n"


def renew() -> None:
    """Make the trial site, calibrate it, put what that prints into the texts, and take the pictures."""
    with TemporaryDirectory() as folder:
        run("demo --calibration", Path(folder))
        said = run(OUTPUT.removeprefix("$ geoloc "), Path(folder))
        for page in (ROOT / "README.md", DOCS / "calibration.md"):
            show(page, said)
        take_pictures(Path(folder) / "out" / "trial")


def run(words: str, folder: Path) -> str:
    """What `geoloc WORDS` prints, in a folder."""
    command = [sys.executable, "-c", "import sys; from geoloc.cli.main import main; sys.exit(main(sys.argv[1:]))"]
    done = subprocess.run([*command, *shlex.split(words)], cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    return done.stdout


def show(page: Path, said: str) -> None:
    """Put what the command printed below it, as far as the page tells it: up to the paragraph that it stops at."""
    before, command, rest = page.read_text(encoding="utf-8").partition(OUTPUT)
    if not command:
        raise SystemExit(f"{page} has no line {OUTPUT!r}")
    old, fence, after = rest.partition("```")
    last = old.strip().splitlines()[-1] if old.strip() else ""
    told = said if last != "..." else said[: said.index("\n\nin plain words")] + "\n...\n"
    write_whole(page, f"{before}{command}{told}{fence}{after}")


def take_pictures(root: Path) -> None:
    """Crops of the report page, and the marking page with a mark half set."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        _report(browser, root / "calibration.html")
        _marking(browser, root)
        browser.close()


def _report(browser: "Browser", page: Path) -> None:
    window = browser.new_page(viewport={"width": 1280, "height": 1160})
    window.goto(page.as_uri())
    window.screenshot(path=DOCS / "calibration.png")
    sections = {"ground_sigma.png": "Level P2", "mosaic.png": "All stills on the map"}
    for name, title in sections.items():
        window.locator("section", has=window.locator("h3", has_text=title)).screenshot(path=DOCS / name)
    card = window.locator("article.card", has=window.locator("h4", has_text=SHOWN))
    card.screenshot(path=DOCS / "next_mark.png")


def _marking(browser: "Browser", root: Path) -> None:
    parser = ArgumentParser()
    mark.add_arguments(parser)
    words = ["garage", "--root", str(root), "--stills", str(root / "stills"), "--no-browser"]
    with mark.make_server(parser.parse_args(words)) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        window = browser.new_page(viewport={"width": 1400, "height": 820})
        window.goto(server.url)
        window.wait_for_function("() => now.picture && now.verdict")
        choose = "([name, level]) => { setCamera(DATA.cameras.findIndex(c => c.name === name)); setLevel(level); }"
        window.evaluate(choose, [MARKED, LEVEL])
        window.wait_for_load_state("networkidle")
        window.wait_for_function("() => now.picture && now.verdict && !waiting")
        window.screenshot(path=DOCS / "marking.png")
        server.shutdown()
        thread.join()
