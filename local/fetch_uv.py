"""Downloads uv into a folder, using only the standard library: ``python3 fetch_uv.py FOLDER``.

For machines without uv, pip and venv, such as a minimal Debian. The wheel comes from PyPI and is verified against the
SHA-256 below. Uses no syntax that an old Python cannot parse.
"""

import hashlib
import io
import platform
import sys
import urllib.request
import zipfile
from pathlib import Path

VERSION = "0.13.8"
HOST = "https://files.pythonhosted.org/packages/"
# machine -> the URL of the wheel (these never change) and its SHA-256
WHEELS = {
    "x86_64": (
        HOST + "c5/32/52ee34636aea1ab3f8baeeae1c3599461b8cddfb379862cc72ac61b8d91c/"
        "uv-0.13.8-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "e18a57b8b352eb7c8feb317b9f6f533c8f0ad9673fd6cf34bbe3cf1a9f6a8984",
    ),
    "aarch64": (
        HOST + "9e/f0/d989ac5fcebf83f1c8c5d78974f27788e8364945969eb646f5d0db35d924/"
        "uv-0.13.8-py3-none-manylinux_2_17_aarch64.manylinux2014_aarch64.musllinux_1_1_aarch64.whl",
        "0b3e8b1a4f5e405e31e2ff33de8af4744831e9f7338539671efbd8c3c94e791d",
    ),
}


def main(folder: str) -> None:
    machine = platform.machine()
    if machine not in WHEELS:
        sys.exit(f"No uv is pinned for {machine}. Install uv: https://docs.astral.sh/uv/")
    url, digest = WHEELS[machine]
    try:
        with urllib.request.urlopen(url, timeout=120) as response:  # noqa: S310 - an https URL from above
            wheel = response.read()
    except OSError as error:
        sys.exit(
            f"uv could not be downloaded from PyPI ({error}). Install uv, or install pip, which uses your mirrors "
            "(Debian, Ubuntu: apt install python3-pip)."
        )
    if hashlib.sha256(wheel).hexdigest() != digest:
        sys.exit(f"The download of uv {VERSION} does not match the pinned SHA-256 and was discarded.")
    unpack(wheel, folder)


def unpack(wheel: bytes, folder: str) -> None:
    """Extract the program. It is written under another name and renamed, so that a full disk leaves no partial file."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        name = next(name for name in archive.namelist() if name.endswith("/scripts/uv"))
        program = archive.read(name)
    target = Path(folder) / "uv"
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name("uv.partial")
    partial.write_bytes(program)
    partial.chmod(0o700)
    partial.replace(target)


if __name__ == "__main__":
    main(sys.argv[1])
