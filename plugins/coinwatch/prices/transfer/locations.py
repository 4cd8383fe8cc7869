"""Files and folders on the local disk or at any other address that fsspec supports."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO
from uuid import uuid4

import fsspec
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from coinwatch.errors import InvalidRequest, NotFound, StorageError

EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gs", "gcs": "gs"}
FIRST_MODIFIED = datetime(1980, 1, 2, tzinfo=UTC)
OBJECT_STORES = {*EXTRAS, "abfs", "az", "oci", "oss"}
# Not all of their errors are OSErrors, and the libraries may not be installed.
CLOUD_LIBRARIES = {"aiobotocore", "aiohttp", "botocore", "gcsfs", "google", "s3fs"}


def open_location(address: str) -> tuple[AbstractFileSystem, str]:
    """The file system and path of an address such as ``/data``, ``s3://bucket/data``, ``gs://...`` or ``memory://...``.

    Credentials come from the usual places of s3fs and gcsfs. Raises InvalidRequest for an unknown kind of address, or
    if its library is not installed.
    """
    try:
        with storage_errors(address):
            system, path = fsspec.core.url_to_fs(address)
    except ImportError as error:
        extra = EXTRAS.get(address.partition("://")[0])
        how = f"uv sync --inexact --extra {extra}, or pip install 'coinwatch[{extra}]'" if extra else str(error)
        raise InvalidRequest(
            "path", f"{redact_credentials(address)} needs a library that is not installed: {how}"
        ) from None
    except ValueError as error:
        raise InvalidRequest("path", f"{redact_credentials(address)} is not a supported address: {error}") from None
    return system, path.rstrip("/") or path


def join(folder: str, *parts: str) -> str:
    return "/".join([folder.rstrip("/"), *parts])


def full_address(system: AbstractFileSystem, path: str) -> str:
    """The address of ``path``: with s3:// or another prefix, or the plain path on the local disk."""
    return path if isinstance(system, LocalFileSystem) else str(system.unstrip_protocol(path))


def modified_at(system: AbstractFileSystem, path: str) -> datetime | None:
    """When a file was last written (UTC); None if its storage does not know.

    Archives and images set the time of their files to 1970 or 1980, which is not known either.
    """
    with storage_errors(path):
        try:
            modified: datetime = system.modified(path)
        except NotImplementedError:
            return None
    modified = modified.replace(tzinfo=UTC) if modified.tzinfo is None else modified.astimezone(UTC)
    return modified if modified > FIRST_MODIFIED else None


def redact_credentials(address: str) -> str:
    """The address without a user name and password."""
    return re.sub(r"//[^/@]*@", "//", address)


@contextmanager
def storage_errors(address: str, *, writing: bool = False) -> Iterator[None]:
    """Raises NotFound or StorageError, with the address, for any error of the file system."""
    try:
        yield
    except FileNotFoundError as error:
        if writing:
            raise StorageError(
                f"Cannot write {redact_credentials(address)}: the bucket or folder does not exist."
            ) from error
        raise NotFound(f"{redact_credentials(address)} does not exist.") from None
    except PermissionError as error:
        reason = str(error) or "permission denied"
        raise StorageError(
            f"Access to {redact_credentials(address)} is denied: {reason}. Check its permissions or the credentials."
        ) from error
    except OSError as error:
        raise StorageError(f"Cannot access {redact_credentials(address)}: {error}") from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in CLOUD_LIBRARIES:
            raise
        raise StorageError(f"Cannot access {redact_credentials(address)}: {error}") from error


@contextmanager
def open_atomically(system: AbstractFileSystem, path: str) -> Iterator[IO[bytes]]:
    """A file to write that appears under its name only if the block completes.

    On the local disk it is written under a temporary name and renamed; in a bucket, an object appears when its upload
    is complete.
    """
    if isinstance(system, LocalFileSystem):
        with _open_local_atomically(Path(path)) as file:
            yield file
        return
    # Object stores have no folders; creating one would create a bucket from a misspelled name.
    if not OBJECT_STORES & ({system.protocol} if isinstance(system.protocol, str) else set(system.protocol)):
        system.makedirs(path.rpartition("/")[0], exist_ok=True)
    # Without a transaction, an error in the block would complete the upload of a partial file.
    with system.transaction, system.open(path, "wb") as remote:
        yield remote


@contextmanager
def _open_local_atomically(path: Path) -> Iterator[IO[bytes]]:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex}")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
