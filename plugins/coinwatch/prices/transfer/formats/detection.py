"""Detecting the format of a CSV file from its first rows."""

from itertools import chain, islice

from coinwatch.errors import InvalidRequest
from coinwatch.prices.transfer.formats import binance, cryptodatadownload, kraken, plain_csv
from coinwatch.prices.transfer.formats.csv_file import HEAD_LINES, CsvFile
from coinwatch.prices.transfer.formats.names import Format
from coinwatch.prices.transfer.formats.rows import CandleFile

FORMATS = (binance, cryptodatadownload, kraken, plain_csv)


def detect_format(file: CsvFile, wanted: Format = "auto") -> CandleFile:
    """The file's candles, read in the first format that matches, or in the one ``wanted``.

    Raises InvalidRequest if none matches.
    """
    rows = list(islice(file.rows, HEAD_LINES))
    head = [fields for _, fields in rows]
    for module in FORMATS:
        if wanted in {"auto", module.NAME} and module.matches(file.names, head):
            found: CandleFile = module.read(file.names, head, chain(rows, file.rows))
            return found
    known = "; ".join(module.DESCRIPTION for module in FORMATS if wanted in {"auto", module.NAME})
    first = ",".join(head[0])
    raise InvalidRequest(
        "file", f"{file.names[-1]} is not a known candle file: it starts with {first[:80]!r}. Supported: {known}."
    )
