"""Reading CSV files row by row: plain, compressed with gzip, or in a ZIP archive."""

import csv
import gzip
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain
from typing import IO

from fsspec import AbstractFileSystem

from coinwatch.errors import InvalidRequest
from coinwatch.prices.transfer.locations import storage_errors

ZIP = b"PK\x03\x04"
EMPTY_ZIP = b"PK\x05\x06"
GZIP = b"\x1f\x8b"
PARQUET = b"PAR1"
UTF16 = (b"\xff\xfe", b"\xfe\xff")
LONGEST_LINE = 65_536
HEAD_LINES = 5
BLOCK = 1 << 20

Row = tuple[int, list[str]]


@dataclass(frozen=True, slots=True)
class CsvFile:
    """An open CSV file.

    ``names`` are its file names without folders: its own and, if it is in a ZIP archive, that of the archive. ``rows``
    are its rows, without empty ones, each with the number of its last line. ``read`` returns the fraction of the file
    that has been read, from 0 to 1.
    """

    names: Sequence[str]
    rows: Iterator[Row]
    read: Callable[[], float]


def read_signature(system: AbstractFileSystem, path: str) -> bytes:
    """The first four bytes of a file. Raises NotFound, StorageError."""
    with storage_errors(path), system.open(path, "rb") as file:
        return bytes(file.read(4))


def list_members(system: AbstractFileSystem, path: str) -> list[str]:
    """The names of the files in a ZIP archive; none if it is not a valid one. Raises StorageError."""
    with storage_errors(path), system.open(path, "rb") as raw:
        try:
            return _members(zipfile.ZipFile(raw))
        except zipfile.BadZipFile:
            return []


@contextmanager
def open_csv(system: AbstractFileSystem, path: str, member: str | None = None) -> Iterator[CsvFile]:
    """Open a CSV file, or ``member`` of a ZIP archive with several.

    Raises InvalidRequest if it is empty, damaged or not UTF-8, NotFound or StorageError.
    """
    name = path.rpartition("/")[2]
    with storage_errors(path), system.open(path, "rb") as raw:
        size = max(1, int(system.size(path) or 1))
        start = raw.read(4)
        raw.seek(0)
        if not start:
            raise InvalidRequest("file", f"{name} is empty.")
        with _unpacked(raw, start, name, member) as (inner, unpacked):
            text = io.TextIOWrapper(unpacked, encoding="utf-8-sig", newline="")
            try:
                yield CsvFile((inner, name), _rows(text, unpacked, name), lambda: min(1.0, raw.tell() / size))
            finally:
                text.detach()  # otherwise it would close the underlying file


def _unpacked(
    raw: IO[bytes], start: bytes, name: str, member: str | None
) -> AbstractContextManager[tuple[str, IO[bytes]]]:
    """The name and contents of the CSV file in ``raw``."""
    if start in {ZIP, EMPTY_ZIP}:
        return _csv_in_zip(raw, name, member)
    if start.startswith(GZIP):
        return _csv_in_gzip(raw, name)
    return nullcontext((name, raw))


@contextmanager
def _csv_in_gzip(raw: IO[bytes], name: str) -> Iterator[tuple[str, IO[bytes]]]:
    with gzip.GzipFile(fileobj=raw) as file:
        try:
            while file.read(BLOCK):  # checked first, so that nothing from a damaged file is stored
                pass
        except (gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise InvalidRequest("file", f"{name} is damaged or incomplete ({error}). Download it again.") from None
        file.seek(0)
        yield name.removesuffix(".gz"), file  # type: ignore[misc]


def _members(archive: zipfile.ZipFile) -> list[str]:
    """The names of files, without folders and what macOS adds."""
    names = [member.filename for member in archive.infolist() if not member.is_dir()]
    return [name for name in names if not name.startswith("__MACOSX/") and not name.rpartition("/")[2].startswith(".")]


@contextmanager
def _csv_in_zip(raw: IO[bytes], name: str, member: str | None) -> Iterator[tuple[str, IO[bytes]]]:
    try:
        archive = zipfile.ZipFile(raw)
        members = [member] if member else _members(archive)
        if len(members) == 1:
            with archive.open(members[0]) as file:
                while file.read(BLOCK):  # checked first, so that nothing from a damaged archive is stored
                    pass
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise InvalidRequest("file", f"{name} is not a valid ZIP archive ({error}). Download it again.") from None
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or an unsupported compression
        raise InvalidRequest("file", f"{name} cannot be unpacked: {error}.") from None
    if len(members) != 1:
        contents = ", ".join(members[:5]) or "nothing"
        raise InvalidRequest(
            "file", f"{name} must contain exactly one CSV file; it contains {contents}. Unpack it first."
        )
    with archive, archive.open(members[0]) as file:
        yield members[0].rpartition("/")[2], file


def _rows(text: io.TextIOWrapper, raw: IO[bytes], name: str) -> Iterator[Row]:
    line, empty = 0, True
    try:
        head = [text.readline(LONGEST_LINE) for _ in range(HEAD_LINES)]
        if any(len(piece) == LONGEST_LINE for piece in head):
            raise InvalidRequest(
                "file", f"{name} is not a CSV file: it has a line of more than {LONGEST_LINE:,} characters."
            )
        delimiter = max(",;\t|", key="".join(head).count)
        reader = csv.reader(chain((piece for piece in head if piece), text), delimiter=delimiter)
        for fields in reader:
            line = reader.line_num
            if any(fields):  # Excel writes empty rows as ,,,
                empty = False
                yield line, fields
    except UnicodeDecodeError:
        raise InvalidRequest("file", _not_text(raw, name, line)) from None
    except csv.Error as error:
        raise InvalidRequest("file", f"{name} is not valid CSV in line {line + 1}: {error}.") from None
    if empty:
        raise InvalidRequest("file", f"{name} is empty.")


def _not_text(raw: IO[bytes], name: str, line: int) -> str:
    raw.seek(0)
    if raw.read(2) in UTF16:
        return f"{name} is in UTF-16. Save it as UTF-8."
    location = f" from line {line + 1}" if line else ""
    return f"{name} is not UTF-8 text{location}. Check that it is a CSV file."
