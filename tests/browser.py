"""Measure pages in headless Chromium, at the widths of a screen and of a phone."""

import html
import json
import re
import shutil
import subprocess

import pytest

NAMES = "chromium", "chromium-browser", "google-chrome", "google-chrome-stable"
PROGRAM = next(filter(None, map(shutil.which, NAMES)), None)
MISSING = "Chromium is not installed: pages are not measured in a browser"
WIDTHS = 1400, 400  # of the window, in pixels
HEIGHT = 800
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
    *("--disable-background-networking", "--hide-scrollbars"),
    *("--virtual-time-budget=10000", "--dump-dom"),
)
# Each page is in a frame as wide as the window would be, because Chromium has a least
# width of windows, and because the pages themselves may not run scripts.
OUTER = """<!DOCTYPE html>
<meta charset="utf-8">
<body>{frames}
<script>
async function measure(window) {{
  const document = window.document;
  {script}
}}
onload = async () => {{
  let found = [];
  try {{
    for (const frame of document.querySelectorAll("iframe")) {{
      frame.contentWindow.focus();
      found.push(await measure(frame.contentWindow));
    }}
  }} catch (error) {{
    found = String(error);
  }}
  const result = document.createElement("pre");
  result.id = "found";
  result.textContent = JSON.stringify(found);
  document.body.replaceChildren(result);
}};
</script>"""


def measure(page: str, folder, script: str) -> list:
    """Return what a function body in JavaScript returns for a page, at each width.

    `window` and `document` are those of the page, which has loaded.
    """
    if PROGRAM is None:
        pytest.skip(MISSING)
    frames = "".join(
        f'<iframe style="border: 0; width: {width}px; height: {HEIGHT}px"'
        f' srcdoc="{html.escape(page)}"></iframe>'
        for width in WIDTHS
    )
    outer = folder / "outer.html"
    outer.write_text(OUTER.format(frames=frames, script=script), encoding="utf-8")
    done = subprocess.run(
        [PROGRAM, *OPTIONS, f"--user-data-dir={folder / 'profile'}", outer.as_uri()],
        capture_output=True,
        encoding="utf-8",
        timeout=300,
    )
    found = re.search(r'<pre id="found">(.*?)</pre>', done.stdout, re.S)
    assert found, done.stderr
    results = json.loads(html.unescape(found[1]))
    assert isinstance(results, list), results
    return results


def overflow(page: str, folder) -> list[int]:
    """Return by how many pixels a page is wider than the window, at each width."""
    script = "const root = document.documentElement;"
    return measure(page, folder, f"{script} return root.scrollWidth - root.clientWidth")
