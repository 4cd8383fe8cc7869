"""The files that an import reads: single files, folders of exported Parquet, and archives with many files."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from fsspec import AbstractFileSystem

from coinwatch.errors import InvalidRequest, NotFound
from coinwatch.prices.instrument_lookup import InstrumentLookup
from coinwatch.prices.transfer.formats import kraken
from coinwatch.prices.transfer.formats.csv_file import list_members
from coinwatch.prices.transfer.formats.parquet import find_parquet_files
from coinwatch.prices.transfer.locations import full_address, open_location, redact_credentials, storage_errors


class Source(NamedTuple):
    """A file, or a ``member`` of a ZIP archive with several files."""

    system: AbstractFileSystem
    path: str
    member: str | None = None

    @property
    def address(self) -> str:
        address = full_address(self.system, self.path)
        return f"{address}/{self.member}" if self.member else address


def find_sources(address: str, instruments: InstrumentLookup) -> Iterator[Source]:
    """The files at an address. Raises NotFound, InvalidRequest or StorageError if it cannot be opened or has none."""
    system, path = open_location(address)
    if path.endswith(".CHECKSUM"):  # Binance's, selected with BTCUSDT-1m-2022-*
        return
    with storage_errors(address):
        is_folder = system.isdir(path)
        if not is_folder and not system.exists(path):
            raise FileNotFoundError
    if not is_folder:
        members = list_members(system, path) if path.lower().endswith(".zip") else []
        if len(members) > 1 and all(map(kraken.is_archive_member, members)):
            yield from (Source(system, path, member) for member in _tracked(members, instruments, path))
        else:
            yield Source(system, path)
        return
    files = find_parquet_files(system, path)
    if not files:
        raise InvalidRequest(
            "file", f"There are no Parquet files in {redact_credentials(address)}. Pass other files one by one."
        )
    yield from (Source(system, file) for file in files)


def _tracked(members: Sequence[str], instruments: InstrumentLookup, path: str) -> list[str]:
    """The files of Kraken's archive with the pairs and resolutions that coinwatch stores."""
    found = []
    for member in members:
        symbol = kraken.stored_symbol(member)
        try:
            if symbol and instruments.find("kraken", symbol):
                found.append(member)
        except NotFound as error:
            not_found = error
    if not found:
        raise InvalidRequest("file", f"{path} contains no file of a pair tracked on Kraken. {not_found}")
    return found
