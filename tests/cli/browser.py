"""Debian's chromium, headless: what a page shows, says on its console and asks of the network."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

SCREENSHOTS = Path("runs/screenshots")
"""Where pictures of pages are kept, to be looked at."""
CARRIED = ("data:", "blob:")
"""How addresses begin of what a page carries itself."""


@dataclass
class Seen:
    """A page in a browser.

    Arguments:
        page: Playwright's page.
        said: What it has said on its console, with the kind before it, and errors that nothing caught.
        asked: Addresses that it has asked for, without what it carries itself.
    """

    page: Any
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    @property
    def abroad(self) -> list[str]:
        """Addresses that are not of this machine."""
        return [url for url in self.asked if urlsplit(url).scheme != "file" and urlsplit(url).hostname != "127.0.0.1"]

    def keep(self, name: str) -> Path:
        """Keeps a picture of the whole page and returns where."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        path = SCREENSHOTS / f"{name}.png"
        self.page.screenshot(path=path, full_page=True)
        return path


@contextmanager
def opened(width: int = 1280) -> Iterator[Seen]:
    """Opens an empty page of so many pixels."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium")
    assert program, "the tests of pages need a browser: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        seen = Seen(browser.new_page(viewport={"width": width, "height": 900}))
        seen.page.on("console", lambda message: seen.said.append(f"{message.type}: {message.text}"))
        seen.page.on("pageerror", lambda error: seen.said.append(f"error: {error}"))
        seen.page.on("request", lambda request: seen.asked.append(request.url) if request.url[:5] not in CARRIED else None)
        try:
            yield seen
        finally:
            browser.close()
