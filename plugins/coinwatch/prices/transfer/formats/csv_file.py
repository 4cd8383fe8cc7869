"""CSV files, alone or in a ZIP, read row by row; whatever is wrong with one is a sentence."""

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

ZIP, EMPTY_ZIP, PARQUET = b"PK\x03\x04", b"PK\x05\x06", b"PAR1"
UTF16 = (b"\xff\xfe", b"\xfe\xff")
LONGEST_LINE = 65_536
HEAD_LINES = 3

Row = tuple[int, list[str]]


@dataclass(frozen=True, slots=True)
class TextFile:
    """``names`` without folders (the ZIP's after that of the CSV in it), ``rows`` with the line each ends on.

    Empty lines are left out.

    ``read`` tells how much of the file has been read, from 0 to 1.
    """

    names: Sequence[str]
    rows: Iterator[Row]
    read: Callable[[], float]


def starts_with(system: AbstractFileSystem, path: str) -> bytes:
    """The first four bytes of a file. Raises NotFound, StorageError."""
    with storage_errors(path), system.open(path, "rb") as file:
        return bytes(file.read(4))


@contextmanager
def open_text(system: AbstractFileSystem, path: str) -> Iterator[TextFile]:
    """A CSV file's rows. Raises InvalidRequest for one that is empty, damaged, or no text in UTF-8."""
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
                yield TextFile((inner, name), _rows(text, member, name), lambda: min(1.0, raw.tell() / size))
            finally:
                text.detach()  # or it closes the file when nobody expects it


@contextmanager
def _csv_in_zip(raw: IO[bytes], name: str) -> Iterator[tuple[str, IO[bytes]]]:
    try:
        archive = zipfile.ZipFile(raw)
        members = [member for member in archive.infolist() if not member.is_dir()]
        # All of it is checked first, so that nothing of a damaged archive is stored.
        broken = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise InvalidRequest("file", f"{name} is a damaged ZIP ({error}). Fetch it again.") from None
    except (RuntimeError, NotImplementedError) as error:  # a password; a compression Python does not know
        raise InvalidRequest("file", f"{name} cannot be unpacked: {error}.") from None
    if broken is not None:
        raise InvalidRequest("file", f"{name} is a damaged ZIP (wrong checksum of {broken}). Fetch it again.")
    if len(members) != 1:
        held = ", ".join(member.filename for member in members[:5]) or "nothing"
        raise InvalidRequest("file", f"{name} should hold one CSV file, but holds {held}. Unpack it first.")
    with archive, archive.open(members[0]) as member:
        yield members[0].filename.rpartition("/")[2], member


def _rows(text: io.TextIOWrapper, raw: IO[bytes], name: str) -> Iterator[Row]:
    line, empty = 0, True
    try:
        head = [text.readline(LONGEST_LINE) for _ in range(HEAD_LINES)]
        if any(len(piece) == LONGEST_LINE for piece in head):
            raise InvalidRequest(
                "file", f"{name} is no file of rows: a line of it is longer than {LONGEST_LINE} letters."
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
        raise InvalidRequest("file", f"{name}, line {line + 1}: this is no CSV ({error}).") from None
    if empty:
        raise InvalidRequest("file", f"{name} is empty.")


def _not_text(raw: IO[bytes], name: str, line: int) -> str:
    raw.seek(0)
    if raw.read(2) in UTF16:
        return f"{name} is in UTF-16. Save it as UTF-8."
    where = f" from line {line + 1} on" if line else ""
    return f"{name} is not text in UTF-8{where}. Is it a CSV file at all?"
