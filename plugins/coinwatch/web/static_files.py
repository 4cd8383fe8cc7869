"""Static files, whose links contain a hash of their content, so that browsers never ask for them twice."""

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

PREFIX = "/static/"
UNCHANGED = "public, max-age=31536000, immutable"
REVALIDATE = "no-cache"
VERSION_LENGTH = 12


def hash_files(folder: Path) -> str:
    """A version of all files below a folder, which changes with the name or content of any of them.

    One version for all, instead of one per file, so that scripts can import each other by relative paths.
    """
    digest = sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(folder)}\0{path.stat().st_size}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:VERSION_LENGTH]


def url_builder(root_path: str, version: str) -> Callable[[str], str]:
    """The function ``url(path)`` of templates: prefixes the app's mount point, and adds the version of static files."""

    def url(path: str) -> str:
        if path.startswith(PREFIX):
            path = f"{PREFIX}{version}/{path.removeprefix(PREFIX)}"
        return f"{root_path}{path}"

    return url


class VersionedFiles(StaticFiles):
    """Serves files with or without a version in front of their path.

    Only responses to the current version may be cached for good: while servers are updated one after the other, a page
    of one version may ask a server of another.
    """

    def __init__(self, directory: Path, version: str) -> None:
        super().__init__(directory=directory)
        self.version = version

    async def get_response(self, path: str, scope: Scope) -> Response:
        first, _, rest = path.partition("/")
        is_version = len(first) == VERSION_LENGTH and all(digit in "0123456789abcdef" for digit in first)
        response = await super().get_response(rest if is_version else path, scope)
        response.headers["Cache-Control"] = UNCHANGED if first == self.version else REVALIDATE
        return response
