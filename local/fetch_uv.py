"""Puts uv into a folder with nothing but Python: ``python3 fetch_uv.py FOLDER``.

For machines without uv, pip and venv, such as a bare Debian. It takes the wheel from PyPI and checks it against the
SHA-256 that stands here. Written so that an old Python can read it and say that it is too old.
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
# machine -> the wheel's place on PyPI's file host (these never change) and its SHA-256
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
        sys.exit(f"There is no pinned uv for {machine}; install uv yourself: https://docs.astral.sh/uv/")
    place, digest = WHEELS[machine]
    try:
        with urllib.request.urlopen(place, timeout=120) as response:  # noqa: S310 - an https address that stands above
            wheel = response.read()
    except OSError as error:
        sys.exit(
            f"uv could not be downloaded from PyPI ({error}). Install uv yourself, or let pip fetch it "
            "(Debian, Ubuntu: apt install python3-pip), which knows your mirrors."
        )
    if hashlib.sha256(wheel).hexdigest() != digest:
        sys.exit(f"What PyPI sent for uv {VERSION} is not what was pinned; it was thrown away.")
    unpack(wheel, folder)


def unpack(wheel: bytes, folder: str) -> None:
    """Only the program itself; written beside and renamed, so that a full disk leaves no half of it."""
    with zipfile.ZipFile(io.BytesIO(wheel)) as archive:
        name = next(name for name in archive.namelist() if name.endswith("/scripts/uv"))
        program = archive.read(name)
    target = Path(folder) / "uv"
    target.parent.mkdir(parents=True, exist_ok=True)
    half = target.with_name("uv.half")
    half.write_bytes(program)
    half.chmod(0o700)
    half.replace(target)


if __name__ == "__main__":
    main(sys.argv[1])
