"""Files and folders, here or behind any fsspec address, with every failure as one sentence."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from uuid import uuid4

import fsspec
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from coinwatch.errors import InvalidRequest, NotFound, StorageError

EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}
OBJECT_STORES = {*EXTRAS, "abfs", "az", "oci", "oss"}
# Not all of their errors are OSErrors, and none of them is ours to import where it is not installed.
CLOUD_LIBRARIES = {"aiobotocore", "aiohttp", "botocore", "gcsfs", "google", "s3fs"}


def find_place(address: str) -> tuple[AbstractFileSystem, str]:
    """The file system and the path in it of ``/data/lake``, ``s3://bucket/lake``, ``gs://…``, ``memory://…``.

    Credentials come from where s3fs and gcsfs look for them. InvalidRequest for a kind of address nobody knows, or one
    whose library is missing.
    """
    try:
        with storage_errors(address):
            system, path = fsspec.core.url_to_fs(address)
    except ImportError as error:
        extra = EXTRAS.get(address.partition("://")[0])
        how = f"uv sync --inexact --extra {extra}, or pip install 'coinwatch[{extra}]'" if extra else str(error)
        raise InvalidRequest(
            "path", f"{shown(address)} needs a library that is not installed. Install it: {how}"
        ) from None
    except ValueError as error:
        raise InvalidRequest("path", f"{shown(address)} is no address to read from or write to: {error}") from None
    return system, path.rstrip("/") or path


def join(folder: str, *parts: str) -> str:
    return "/".join([folder.rstrip("/"), *parts])


def address_of(system: AbstractFileSystem, path: str) -> str:
    """The address that leads to ``path``: with s3:// before it, here as it is."""
    return path if isinstance(system, LocalFileSystem) else str(system.unstrip_protocol(path))


def shown(address: str) -> str:
    """An address for people: without a user and password in it."""
    return re.sub(r"//[^/@]*@", "//", address)


@contextmanager
def storage_errors(address: str, *, writing: bool = False) -> Iterator[None]:
    """NotFound or StorageError, each with the address, for whatever goes wrong between us and the files."""
    try:
        yield
    except FileNotFoundError as error:
        if writing:
            reason = "there is no such bucket or folder"
            raise StorageError(f"{shown(address)} cannot be written: {reason}.") from error
        raise NotFound(f"There is no {shown(address)}.") from None
    except PermissionError as error:
        reason = str(error) or "permission denied"
        raise StorageError(
            f"{shown(address)} may not be used: {reason}. Check its rights or the credentials."
        ) from error
    except OSError as error:
        raise StorageError(f"{shown(address)} cannot be used: {error}") from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in CLOUD_LIBRARIES:
            raise
        raise StorageError(f"{shown(address)} cannot be used: {error}") from error


@contextmanager
def written_whole(system: AbstractFileSystem, path: str) -> Iterator[IO[bytes]]:
    """A file that appears under its name when the block ends well, and not at all when it does not.

    Here it is written beside and moved; in a bucket an object appears when its upload is completed.
    """
    if isinstance(system, LocalFileSystem):
        with _written_beside(Path(path)) as file:
            yield file
        return
    # An object store knows no folders; there, making one would make a bucket of a misspelt name.
    if not OBJECT_STORES & ({system.protocol} if isinstance(system.protocol, str) else set(system.protocol)):
        system.makedirs(path.rpartition("/")[0], exist_ok=True)
    # Outside of a transaction, leaving the block with an error would complete the upload of half a file.
    with system.transaction, system.open(path, "wb") as remote:
        yield remote


@contextmanager
def _written_beside(path: Path) -> Iterator[IO[bytes]]:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with beside.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
