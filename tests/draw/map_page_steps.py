"""Steps that tests of the map page in a browser take."""


def settle(page):
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def picture(page):
    settle(page)
    return page.evaluate("() => document.getElementById('canvas').toDataURL()")


def set_time(page, seconds):
    page.evaluate(
        "t => { const s = element('time'); s.value = t; s.dispatchEvent(new Event('input')); }",
        seconds,
    )
    settle(page)


def centre_of(page, script):
    """Where on the window something of the map is."""
    box, (u, v) = page.locator("#canvas").bounding_box(), page.evaluate(script)
    return box["x"] + u, box["y"] + v
