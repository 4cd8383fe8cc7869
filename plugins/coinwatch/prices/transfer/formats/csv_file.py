"""Reading CSV files row by row, plain or in a ZIP archive."""

import csv
import io
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from itertools import chain
from typing import IO

from fsspec import AbstractFileSystem

from coinwatch.errors import InvalidRequest
from coinwatch.prices.transfer.locations import storage_errors

ZIP = b"PK\x03\x04"
EMPTY_ZIP = b"PK\x05\x06"
PARQUET = b"PAR1"
UTF16 = (b"\xff\xfe", b"\xfe\xff")
LONGEST_LINE = 65_536
HEAD_LINES = 3

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


@contextmanager
def open_csv(system: AbstractFileSystem, path: str) -> Iterator[CsvFile]:
    """Open a CSV file. Raises InvalidRequest if it is empty, damaged or not UTF-8, NotFound or StorageError."""
    name = path.rpartition("/")[2]
    with storage_errors(path), system.open(path, "rb") as raw:
        size = max(1, int(system.size(path) or 1))
        start = raw.read(4)
        raw.seek(0)
        if not start:
            raise InvalidRequest("file", f"{name} is empty.")
        with _csv_in_zip(raw, name) if start in {ZIP, EMPTY_ZIP} else nullcontext((name, raw)) as (inner, member):
            text = io.TextIOWrapper(member, encoding="utf-8-sig", newline="")
            try:
                yield CsvFile((inner, name), _rows(text, member, name), lambda: min(1.0, raw.tell() / size))
            finally:
                text.detach()  # otherwise it would close the underlying file


@contextmanager
def _csv_in_zip(raw: IO[bytes], name: str) -> Iterator[tuple[str, IO[bytes]]]:
    try:
        archive = zipfile.ZipFile(raw)
        members = [member for member in archive.infolist() if not member.is_dir()]
        # The whole archive is checked first, so that nothing from a damaged one is stored.
        broken = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise InvalidRequest("file", f"{name} is not a valid ZIP archive ({error}). Download it again.") from None
    except (RuntimeError, NotImplementedError) as error:  # encrypted, or an unsupported compression
        raise InvalidRequest("file", f"{name} cannot be unpacked: {error}.") from None
    if broken is not None:
        raise InvalidRequest("file", f"{name} is damaged: the checksum of {broken} is wrong. Download it again.")
    if len(members) != 1:
        contents = ", ".join(member.filename for member in members[:5]) or "nothing"
        raise InvalidRequest(
            "file", f"{name} must contain exactly one CSV file; it contains {contents}. Unpack it first."
        )
    with archive, archive.open(members[0]) as member:
        yield members[0].filename.rpartition("/")[2], member


def _rows(text: io.TextIOWrapper, raw: IO[bytes], name: str) -> Iterator[Row]:
    line, empty = 0, True
    try:
        head = [text.readline(LONGEST_LINE) for _ in range(HEAD_LINES)]
        if any(len(piece) == LONGEST_LINE for piece in head):
            raise InvalidRequest(
                "file", f"{name} is not a CSV file: it has a line of more than {LONGEST_LINE:,} characters."
            )
        delimiter = max(",;\t", key="".join(head).count)
        reader = csv.reader(chain((piece for piece in head if piece), text), delimiter=delimiter)
        for fields in reader:
            line = reader.line_num
            if fields:
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
