"""Which format a CSV file has, found by looking at it."""

from itertools import chain, islice

from coinwatch.errors import InvalidRequest
from coinwatch.prices.transfer.formats import binance, cryptodatadownload
from coinwatch.prices.transfer.formats import plain_csv as plain
from coinwatch.prices.transfer.formats.csv_file import HEAD_LINES, TextFile
from coinwatch.prices.transfer.formats.names import Format
from coinwatch.prices.transfer.formats.rows import CandleFile

FORMATS = (binance, cryptodatadownload, plain)


def recognize(file: TextFile, wanted: Format = "auto") -> CandleFile:
    """The file's candles in the first format that fits, or in the one ``wanted``; InvalidRequest where none fits."""
    rows = list(islice(file.rows, HEAD_LINES))
    head = [fields for _, fields in rows]
    for form in FORMATS:
        if wanted in {"auto", form.NAME} and form.matches(head):
            found: CandleFile = form.read(file.names, head, chain(rows, file.rows))
            return found
    known = "; ".join(form.DESCRIPTION for form in FORMATS if wanted in {"auto", form.NAME})
    first = ",".join(head[0])
    raise InvalidRequest(
        "file", f"{file.names[-1]} is no file of candles: it begins with {first[:80]!r}. Known: {known}."
    )
