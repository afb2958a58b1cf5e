"""Debian's chromium, without a window: what a page looks like, and what is in it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

NAMES = ("chromium", "chromium-browser", "google-chrome")
TIMEOUT = 120.0
"""Seconds; a page takes two."""


class BrowserError(Exception):
    """There is no browser, or it did not do what it was told."""


def find() -> str | None:
    """The browser's path, or None."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def screenshot(page: Path, picture: Path, width: int, height: int) -> None:
    """Write what the page shows as a PNG of this size, in 256 colours: a third of the bytes."""
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw.png"
        _run(page, [f"--screenshot={raw}", f"--window-size={width},{height}", "--hide-scrollbars"])
        if not raw.exists():
            raise BrowserError("the browser wrote no picture")
        with Image.open(raw) as image:
            image.convert("RGB").quantize(256).save(picture, optimize=True)


def document(page: Path) -> str:
    """The page's document, as the browser has it after loading."""
    return _run(page, ["--dump-dom"])


def _run(page: Path, options: Sequence[str]) -> str:
    browser = find()
    if browser is None:
        raise BrowserError("there is no chromium (Debian: apt-get install chromium)")
    with tempfile.TemporaryDirectory() as profile:
        command = [
            *(browser, "--headless", "--no-sandbox", "--disable-gpu"),
            *("--disable-background-networking", "--disable-dev-shm-usage"),
            *(f"--user-data-dir={profile}", "--force-device-scale-factor=1"),
            *(*options, page.resolve().as_uri()),
        ]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=TIMEOUT, check=True
            )
        except subprocess.CalledProcessError as error:
            raise BrowserError(
                f"the browser ended with {error.returncode}: {error.stderr}"
            ) from None
        except subprocess.TimeoutExpired:
            raise BrowserError(f"the browser did not end in {TIMEOUT:.0f} s") from None
    return done.stdout
