"""The app in a real browser: serving it, opening pages, filling in the alert form, measuring contrast."""

import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect

from coinwatch.setting_sources import PROJECT_ROOT

SCREENSHOTS = PROJECT_ROOT / ".screenshots"
DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}
# WCAG 2.1: contrast of every text with its nearest opaque background.
CONTRASTS = """() => {
  const parse = (text) => text.match(/[\\d.]+/g).map(Number);
  const luminance = (color) => {
    const [r, g, b] = color.slice(0, 3).map((part) => part / 255)
      .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const background = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !element.checkVisibility() || element.tagName === "NOSCRIPT") continue;
    const style = getComputedStyle(element);
    const color = parse(element.ownerSVGElement ? style.fill : style.color);
    const [a, b] = [luminance(color), luminance(background(element))];
    found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), element.textContent.trim().slice(0, 40)]);
  }
  return found;
}"""


class StreamingServer(uvicorn.Server):
    """Ends open streams when it stops. Without signals, as in a thread, they don't notice."""

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self.app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.app.state.site.hub.close()
        await super().shutdown(sockets)


@contextmanager
def serving(app: FastAPI, port: int, **options: Any) -> Iterator[str]:
    config = uvicorn.Config(app, port=port, log_level="error", lifespan="off", ws="none", **options)
    server = StreamingServer(config, app)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        threading.Event().wait(0.02)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def opened(browser: Browser, url: str, **options: object) -> Iterator[Page]:
    """A page. Fails if it logs a JavaScript or Content-Security-Policy error. SCREENSHOTS has what it looked like."""
    context = browser.new_context(**({"viewport": DESKTOP} | options))  # type: ignore[arg-type]
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if "Security Policy" in message.text else None)
    page.goto(url)
    try:
        yield page
    finally:
        _save_screenshot(page)
        context.close()
    assert errors == []


def _save_screenshot(page: Page) -> None:
    """Save what the page looks like at the end of the test, under the test's name."""
    if page.is_closed():
        return
    test = os.environ["PYTEST_CURRENT_TEST"].removesuffix(" (call)").partition("tests/")[2]
    name = re.sub(r"[^\w.\[\]-]+", "-", test.replace(".py::", "-"))
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png")


def fill_in_form(page: Page, percent: str = "2.5", email: str = "ada@example.org") -> None:
    """Fill in the alert form and submit it."""
    page.get_by_label("Coin").select_option("BTC")
    page.get_by_label("Exchange").select_option("kraken")
    page.get_by_label("Direction").select_option("down")
    page.get_by_label("Change (at least, %)").fill(percent)
    page.get_by_label("Email").fill(email)
    page.get_by_role("button", name="Create alert").click()


def preview_summary(page: Page) -> str:
    """The text of the preview, as soon as there is one."""
    expect(page.locator("#preview:not(.busy) #preview-summary strong")).to_be_visible()
    return page.locator("#preview-summary").inner_text()


def is_wider_than_screen(page: Page) -> bool:
    viewport = page.viewport_size
    assert viewport is not None
    return bool(page.evaluate("document.documentElement.scrollWidth") > viewport["width"])


def low_contrasts(page: Page) -> list[tuple[float, str]]:
    """Contrast and text of everything on the page below the 4.5 that WCAG AA requires."""
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 5
    return [contrast for contrast in contrasts if contrast[0] < 4.5]
