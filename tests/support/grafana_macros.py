"""The expansion of macros and variables in PostgreSQL queries by Grafana, as far as our dashboard uses it.

In this order, as documented under "Variable syntax" and "PostgreSQL query editor, Macros" for Grafana 13.1:

``${name:sqlstring}``
    The variable's value in single quotes, with quotes inside doubled; multiple values are joined by commas. "All"
    stands for every option; for a variable without options, it is empty.
``$__interval``
    The width of one point on the screen, such as ``30s`` or ``5m``, at least the panel's minimum.
``$__interval_ms``
    The same in milliseconds.
``$__from``, ``$__to``
    Bounds of the time range in milliseconds since 1970.
``$__timeFilter(column)``
    ``column BETWEEN '<from>' AND '<to>'`` with times in UTC, RFC 3339.
``$__timeFrom()``, ``$__timeTo()``
    One of those bounds as a quoted string.
``$__timeGroup(column, interval[, fill])``
    The column in seconds since 1970, rounded down to the interval. ``fill`` is what Grafana later shows for an interval
    without a row; Postgres does not see it. ``$__timeGroupAlias`` names the result ``"time"``.

A macro's arguments end at the first closing parenthesis, so they cannot contain one.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime

MACRO = re.compile(r"\$(__\w+)\(([^)]*)\)")
FORMATTED = re.compile(r"\$\{(\w+):(\w+)\}")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
FILLS = {"NULL", "previous", "0"}


def expand(
    sql: str,
    *,
    start: datetime,
    end: datetime,
    interval: str = "1m",
    variables: Mapping[str, str | Sequence[str]],
) -> str:
    """The statement that Postgres receives. Raises ValueError for an unknown variable or macro."""
    milliseconds = str(1000 * int(interval[:-1]) * SECONDS[interval[-1]])
    values = {
        "__interval_ms": milliseconds,
        "__interval": interval,
        "__from": _milliseconds(start),
        "__to": _milliseconds(end),
    }
    sql = FORMATTED.sub(lambda match: _formatted(match[1], match[2], variables), sql)
    for name, value in values.items():
        sql = re.sub(rf"\${name}\b", value, sql)
    sql = MACRO.sub(lambda match: _macro(match[1], match[2], start, end), sql)
    if "$" in sql:
        raise ValueError(f"Grafana would send a dollar sign to Postgres: {sql[sql.index('$') :][:60]!r}")
    return sql


def _formatted(name: str, form: str, variables: Mapping[str, str | Sequence[str]]) -> str:
    if name not in variables:
        raise ValueError(f"the dashboard has no variable {name!r}")
    if form != "sqlstring":
        raise ValueError(f"${{{name}:{form}}}: only sqlstring is safe inside a statement")
    value = variables[name]
    return ",".join("'" + one.replace("'", "''") + "'" for one in ([value] if isinstance(value, str) else value))


def _macro(name: str, text: str, start: datetime, end: datetime) -> str:
    arguments = [argument.strip() for argument in text.split(",")]
    match name, arguments:
        case "__timeFilter", [column] if column:
            return f"{column} BETWEEN {_quoted(start)} AND {_quoted(end)}"
        case "__timeFrom", [""]:
            return _quoted(start)
        case "__timeTo", [""]:
            return _quoted(end)
        case "__timeGroup", [column, width, *fill]:
            return _group(column, width, fill)
        case "__timeGroupAlias", [column, width, *fill]:
            return _group(column, width, fill) + ' AS "time"'
    raise ValueError(f"Grafana has no macro ${name}({text})")


def _group(column: str, width: str, fill: Sequence[str]) -> str:
    match = re.fullmatch(r"'?(\d+)([smhd])'?", width)
    if match is None or int(match[1]) == 0:
        raise ValueError(f"{width!r} is not an interval such as 5m")
    if fill and (len(fill) > 1 or fill[0] not in FILLS):
        raise ValueError(f"{', '.join(fill)!r} is not a valid fill value")
    seconds = int(match[1]) * SECONDS[match[2]]
    return f"floor(extract(epoch from {column})/{seconds})*{seconds}"


def _quoted(moment: datetime) -> str:
    return f"'{moment.isoformat().replace('+00:00', 'Z')}'"


def _milliseconds(moment: datetime) -> str:
    return str(round(moment.timestamp() * 1000))
