"""Parse times, days and periods given as options. Errors name the option, the value and the expected format."""

from datetime import UTC, date, datetime, timedelta, tzinfo

from coinwatch.errors import InvalidRequest
from coinwatch.time_range import parse_duration, validate_timestamp

DAY_LENGTH = len("2026-01-31")


def parse_period(
    last: str | None,
    start: str | None,
    end: str | None,
    now: datetime,
    *,
    default: timedelta,
    zone: tzinfo = UTC,
) -> tuple[datetime, datetime]:
    """The time range that --last, --from and --to describe: from the start to the end, or to ``now``.

    A day as --to is included, as it is when candles are fetched and exported.
    ``default`` is its length if neither --last nor --from is given. Raises InvalidRequest.
    """
    if last and start:
        raise InvalidRequest("last", "Pass either --last or --from.")
    until = parse_end(end, zone) if end else now
    if start:
        since = parse_time("from", start, zone)
        if since >= until:
            raise InvalidRequest("from", f"--from {start} is not before --to {end or 'now'}.")
        return since, until
    length = parse_duration("--last", last) if last else default
    if not length:
        raise InvalidRequest("last", f"--last is {last!r}; it must be longer than 0.")
    return until - length, until


def parse_time(name: str, text: str, zone: tzinfo = UTC) -> datetime:
    """An aware datetime from ISO 8601; without an offset it is taken to be in ``zone``. Raises InvalidRequest."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(name, f"--{name} {text!r} is not a time such as 2026-01-31T12:00.") from None
    aware = found if found.tzinfo else found.replace(tzinfo=zone)
    validate_timestamp(f"--{name}", aware)
    return aware


def parse_end(text: str, zone: tzinfo = UTC) -> datetime:
    """The end that --to gives: a time, or the end of a day in ``zone``. Raises InvalidRequest."""
    moment = parse_time("to", text, zone)
    return moment + timedelta(days=1) if len(text) == DAY_LENGTH else moment


def parse_day(name: str, text: str) -> date:
    """A UTC day such as 2026-01-31. Raises InvalidRequest."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(name, f"--{name} {text!r} is not a day such as 2026-01-31.") from None
