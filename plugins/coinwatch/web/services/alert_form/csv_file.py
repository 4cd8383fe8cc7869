"""Alerts from a CSV file: one per line, with the names of the API's fields as columns.

Files come from programs and from spreadsheets in any language: separated by commas, semicolons or tabs, with a decimal
point or comma, in UTF-8, UTF-16 or Windows-1252.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine

from coinwatch.alerts.rules import REQUIRED, Rule
from coinwatch.errors import InvalidFields, InvalidRequest
from coinwatch.formatting import did_you_mean, escape_control_characters
from coinwatch.prices.catalog import FoundInstrument
from coinwatch.web.schemas.forms import BacktestForm
from coinwatch.web.services.alert_form.complete_validation import build_completely
from coinwatch.web.services.alert_form.entered_values import end_of_day, is_possible_percent, near_latest_value
from coinwatch.web.services.alert_form.number_parsing import parse_number
from coinwatch.web.services.subscriptions import find_watched

MAX_ALERTS = 100
MAX_CELL_LENGTH = 300
COLUMNS = tuple(BacktestForm.model_fields)
# Other names of the columns, as people and spreadsheets write them.
ALIASES = {
    "symbol": "coin",
    "market": "exchange",
    "currency": "quote",
    "percent": "threshold_percent",
    "threshold": "threshold_percent",
    "change": "threshold_percent",
    "price": "level",
    "target": "level",
    "window": "window_seconds",
    "within": "window_seconds",
    "cooldown": "cooldown_seconds",
    "ladder": "ladder_percent",
    "expires": "expires_at",
    "expires_on": "expires_at",
    "last_day": "expires_at",
}
NUMBERS = ("threshold_percent", "level", "ladder_percent")
BOOLEANS = {"always": "true", "once": "false", "wahr": "true", "falsch": "false", "ja": "true", "nein": "false"}
DELIMITERS = (",", ";", "\t")
DAY = re.compile(r"\d{4}-\d\d-\d\d|\d{1,2}\.\d{1,2}\.\d{4}")


@dataclass(frozen=True, slots=True)
class ListedAlert:
    """A valid alert, and the ``line`` of the file that it is from. The header is line 1."""

    line: int
    instrument: FoundInstrument
    rule: Rule


@dataclass(frozen=True, slots=True)
class CsvError:
    """What is wrong with a value: its ``line`` and ``column``; the column is empty for a line as a whole."""

    line: int
    column: str
    message: str


@dataclass(frozen=True, slots=True)
class AlertList:
    """The alerts of a file, and all its errors, in the order of the lines."""

    alerts: list[ListedAlert]
    errors: list[CsvError]


def decode_csv(content: bytes) -> str:
    """The text of a file: UTF-8 or UTF-16 with a byte order mark, UTF-8, or else Windows-1252."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def parse_alerts(engine: Engine, text: str, now: datetime) -> AlertList:
    """Parse and validate every line. Empty lines are skipped, and empty cells are as good as missing columns."""
    text = text.removeprefix("\ufeff").strip()
    if not text:
        return AlertList([], [CsvError(1, "", "The file is empty. Its first line must name the columns.")])
    if "\0" in text:
        return AlertList([], [CsvError(1, "", "The file contains NUL characters. Save it as CSV.")])
    header, *rows = _rows(text)
    names, errors = _columns(header[1])
    rows = [(line, cells) for line, cells in rows if any(cell.strip() for cell in cells)]
    if not rows:
        errors.append(CsvError(header[0], "", "There are no alerts below the header."))
    if len(rows) > MAX_ALERTS:
        errors.append(CsvError(rows[MAX_ALERTS][0], "", f"A file can have up to {MAX_ALERTS} alerts, not {len(rows)}."))
    if errors:
        return AlertList([], errors)
    alerts: list[ListedAlert] = []
    first_lines: dict[tuple[FoundInstrument, Rule], int] = {}
    for line, cells in rows:
        try:
            watched = _parse_line(engine, names, cells, now)
        except InvalidRequest as error:
            errors += [CsvError(line, name, message) for name, message in error.fields.items()]
            continue
        if (first := first_lines.setdefault(watched, line)) != line:
            errors.append(CsvError(line, "", f"This is the same alert as in line {first}."))
        alerts.append(ListedAlert(line, *watched))
    return AlertList(alerts, errors)


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """Each row with its line. The separator is the most frequent one of the header."""
    header = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=header.count)
    reader = csv.reader(text.splitlines(keepends=True), delimiter=delimiter)
    line = 1
    for cells in reader:
        yield line, cells
        line = reader.line_num + 1


def _columns(header: list[str]) -> tuple[list[str], list[CsvError]]:
    """The field of each column, empty for a column without a name; and what is wrong with the header."""
    names, errors = [], []
    for cell in header:
        name = re.sub(r"[\s-]+", "_", re.sub(r"\(.*\)|%", "", cell).strip().lower())
        field = ALIASES.get(name, name)
        if name and field not in COLUMNS:
            hint = did_you_mean(name, {each: each for each in (*COLUMNS, *ALIASES)}) or f" Known: {', '.join(COLUMNS)}."
            errors.append(CsvError(1, _shortened(cell), f"There is no such column.{hint}"))
        elif name and field in names:
            errors.append(CsvError(1, _shortened(cell), f"There are two columns for {field}."))
        names.append(field)
    if "coin" not in names and not errors:
        errors.append(CsvError(1, "", "The first line must name the columns, and one of them must be coin."))
    return names, errors


def _parse_line(engine: Engine, names: list[str], cells: list[str], now: datetime) -> tuple[FoundInstrument, Rule]:
    """Raises InvalidFields with everything that is wrong with the line."""
    entered = {name: cell.strip() for name, cell in zip(names, cells, strict=False) if name and cell.strip()}
    errors = {
        name: f"This is too long; the maximum is {MAX_CELL_LENGTH} characters."
        for name, cell in entered.items()
        if len(cell) > MAX_CELL_LENGTH
    }
    if any(cell.strip() for cell in cells[len(names) :]):
        errors[""] = (
            f"This line has {len(cells)} values, but there are {len(names)} columns. "
            "Put text that contains the separator in quotes."
        )
    if errors:
        raise InvalidFields(errors)
    values: dict[str, object] = dict(entered)
    for name in NUMBERS:
        if name in entered:
            try:
                is_likely = near_latest_value(engine, entered, now) if name == "level" else is_possible_percent
                values[name] = parse_number(entered[name], is_likely)
            except ValueError as error:
                errors[name], values[name] = str(error), 1.0
    if "repeat" in entered:
        values["repeat"] = BOOLEANS.get(entered["repeat"].lower(), entered["repeat"].lower())
    if DAY.fullmatch(entered.get("expires_at", "")):
        try:
            values["expires_at"] = end_of_day(entered["expires_at"])
        except ValueError as error:
            errors["expires_at"] = str(error)
            del values["expires_at"]
    if "coin" not in entered:
        errors["coin"], values["coin"] = REQUIRED, "-"
    return build_completely(BacktestForm, find_watched, engine, _in_lower_case(values), now, errors)


def _in_lower_case(values: Mapping[str, object]) -> dict[str, object]:
    return {
        name: value.lower() if name in {"kind", "metric", "direction"} and isinstance(value, str) else value
        for name, value in values.items()
    }


def _shortened(cell: str) -> str:
    return escape_control_characters(cell.strip())[:60]
