"""Static files are cached for good under URLs that change with their content."""

import json
import re
from pathlib import Path
from urllib.parse import urljoin

import pytest
from fastapi.testclient import TestClient

from coinwatch.web.static_files import UNCHANGED, hash_files
from coinwatch.web.templating import STATIC

HTML = {"Accept": "text/html"}


def linked(client: TestClient, name: str) -> str:
    """The path of a static file that the pages link."""
    [path] = re.findall(rf'(?:href|src)="([^"]+/{re.escape(name)})"', client.get("/nothing", headers=HTML).text)
    return str(path)


@pytest.mark.parametrize("name", ["coinwatch.css", "times.js", "icon.svg", "apple-touch-icon.png"])
def test_linked_files_are_never_requested_again(client: TestClient, name: str) -> None:
    response = client.get(linked(client, name))
    assert response.status_code == 200
    assert response.headers["cache-control"] == UNCHANGED


@pytest.mark.parametrize("version", ["", "0123456789ab/"], ids=["none", "of another server"])
def test_files_without_the_current_version_are_revalidated(client: TestClient, version: str) -> None:
    path = f"/static/{version}styles/coinwatch.css"
    response = client.get(path)
    assert response.status_code == 200
    assert response.headers["cache-control"] == "no-cache"
    assert client.get(path, headers={"If-None-Match": response.headers["etag"]}).status_code == 304


def test_missing_files_are_not_cached(client: TestClient) -> None:
    folder = linked(client, "coinwatch.css").rpartition("/")[0]
    response = client.get(f"{folder}/nothing.css")
    assert response.status_code == 404
    assert response.headers["cache-control"] == "no-store"


def test_the_version_depends_on_names_and_contents(tmp_path: Path) -> None:
    versions = set()
    for name, text in [("a.css", "x"), ("b.css", "x"), ("b.css", "y"), ("b.css", "")]:
        (tmp_path / "a.css").unlink(missing_ok=True)
        (tmp_path / name).write_text(text)
        versions.add(hash_files(tmp_path))
    assert len(versions) == 4
    assert hash_files(tmp_path) in versions


def test_manifest_describes_an_app_that_can_be_installed(client: TestClient) -> None:
    path = linked(client, "manifest.webmanifest")
    response = client.get(path)
    assert response.headers["content-type"] == "application/manifest+json"
    manifest = response.json()
    assert urljoin(path, manifest["start_url"]) == urljoin(path, manifest["scope"]) == "/"
    sizes = set()
    for icon in manifest["icons"]:
        image = client.get(urljoin(path, icon["src"]))
        assert image.headers["content-type"] == icon["type"]
        sizes.add((icon["sizes"], icon.get("purpose")))
        if icon["type"] == "image/png":  # width and height are in the first chunk
            width, height = (int.from_bytes(image.content[at : at + 4], "big") for at in (16, 20))
            assert icon["sizes"] == f"{width}x{height}"
    assert {("192x192", None), ("512x512", None), ("512x512", "maskable")} <= sizes
    for shortcut in manifest["shortcuts"]:
        assert client.get(urljoin(path, shortcut["url"]), headers=HTML).status_code in {200, 303, 307, 308}


def test_manifest_has_the_colors_of_the_styles() -> None:
    styles = (STATIC / "styles" / "coinwatch.css").read_text()
    manifest = json.loads((STATIC / "manifest.webmanifest").read_text())
    assert f"--ground: light-dark({manifest['background_color']}" in styles
    assert f"--accent: light-dark({manifest['theme_color']}" in styles
