"""Rows with named and typed columns, written as CSV or Parquet."""

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

# A text that starts like this is a formula to a spreadsheet (https://owasp.org/www-community/attacks/CSV_Injection).
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # noqa: RUF001  full-width, too
SCALARS = (bool, int, float, datetime, date, str)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows with named columns. ``columns`` has the type of each: bool, int, float, datetime (aware), date or str."""

    columns: Mapping[str, type]
    rows: Sequence[Sequence[Any]]

    @classmethod
    def of(cls, row_type: type, rows: Sequence[Any], **constants: str | float | datetime) -> "Table":
        """A table of dataclasses, named tuples or pydantic models, preceded by columns with the same value in each row.

        Fields that are not one value (lists, objects) are left out.
        """
        fields = field_types(row_type)
        fixed = tuple(constants.values())
        columns = {name: type(value) for name, value in constants.items()} | dict(fields)
        return cls(columns, [(*fixed, *(getattr(row, name) for name in fields)) for row in rows])

    def to_csv(self) -> bytes:
        """RFC 4180 in UTF-8, with a header. Times are ISO 8601 in UTC, as in JSON.

        Numbers are exact and never in scientific notation. A text that a spreadsheet would evaluate as a formula
        starts with an apostrophe.
        """
        texts = [CSV_TEXTS[kind] for kind in self.columns.values()]
        file = io.StringIO(newline="")
        writer = csv.writer(file)
        writer.writerow(self.columns)
        for row in self.rows:
            writer.writerow(["" if value is None else text(value) for text, value in zip(texts, row, strict=True)])
        return file.getvalue().encode()

    def to_parquet(self) -> bytes:
        """A Parquet file; times are UTC timestamps in microseconds."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        types = {
            bool: pa.bool_(),
            int: pa.int64(),
            float: pa.float64(),
            datetime: pa.timestamp("us", "UTC"),
            date: pa.date32(),
            str: pa.string(),
        }
        columns = zip(*self.rows, strict=True) if self.rows else ([] for _ in self.columns)
        arrays = [pa.array(values, types[kind]) for values, kind in zip(columns, self.columns.values(), strict=True)]
        file = io.BytesIO()
        pq.write_table(pa.table(arrays, names=list(self.columns)), file, compression="zstd")
        return file.getvalue()


@lru_cache
def field_types(row_type: type) -> Mapping[str, type]:
    """The fields of a dataclass, named tuple or pydantic model that are one value, with their types without None."""
    found = {name: _scalar(annotation) for name, annotation in get_type_hints(row_type).items()}
    return {name: kind for name, kind in found.items() if kind is not None}


def _scalar(annotation: Any) -> type | None:
    if get_origin(annotation) in {Union, UnionType}:
        [annotation, *others] = [part for part in get_args(annotation) if part is not type(None)] or [None]
        if others:
            return None
    if get_origin(annotation) is Literal:
        annotation = type(get_args(annotation)[0])
    return annotation if annotation in SCALARS else None


def number_text(value: float) -> str:
    """The shortest decimal number that is this value, without an exponent."""
    text = repr(value)
    return format(Decimal(text), "f") if "e" in text else text


def time_text(moment: datetime) -> str:
    """A time in UTC as JSON has it: 2026-11-20T12:00:18Z, with microseconds if there are any."""
    return moment.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"


def safe_text(text: str) -> str:
    """A text that no spreadsheet evaluates as a formula."""
    return f"'{text}" if text.startswith(FORMULA_STARTS) else text


CSV_TEXTS: Mapping[type, Callable[[Any], str]] = {
    bool: lambda value: "true" if value else "false",
    int: str,
    float: number_text,
    datetime: time_text,
    date: date.isoformat,
    str: safe_text,
}
