"""Which format a CSV file has, found by looking at it."""

from itertools import chain, islice

from coinwatch.errors import InvalidRequest
from coinwatch.prices.files import binance, cryptodatadownload, plain
from coinwatch.prices.files.kinds import Format
from coinwatch.prices.files.rows import CandleFile
from coinwatch.prices.files.text import HEAD_LINES, TextFile

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
