"""Replaying recorded one-minute candles as the market, once or in a loop, at any speed."""

import csv
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

from coinwatch.coinnews.market import CHANGE_WINDOW, HISTORY_POINTS, Candle, Value
from coinwatch.errors import ConfigurationError

COLUMNS = ("timestamp", "open", "high", "low", "close", "volume")
MINUTE_MICROSECONDS = 60_000_000
CHANGE_CANDLES = int(CHANGE_WINDOW.total_seconds() // 60)


@dataclass(frozen=True, slots=True)
class Recording:
    """The closing prices and the volumes of a file's candles; ``digest`` identifies the recording."""

    path: Path
    closes: tuple[float, ...]
    digest: str
    volumes: tuple[float, ...] = ()


def read_recording(path: Path) -> Recording:
    """Read a CSV with the columns timestamp (UTC), open, high, low, close, volume.

    Minutes may be missing. Raises ConfigurationError, with the line, for an invalid number or time, or a time that is
    not later than the one before.
    """
    try:
        raw = path.read_bytes()
        text = raw.decode("utf-8-sig")
    except OSError as error:
        raise ConfigurationError(f"Cannot read the recording {path}: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise ConfigurationError(f"The recording {path} is not a UTF-8 text file.") from None
    rows = list(_rows(path, text))
    if not rows:
        raise ConfigurationError(f"The recording {path} has no candles.")
    closes, volumes = zip(*rows, strict=True)
    return Recording(path, closes, sha256(raw).hexdigest(), volumes)


@dataclass(frozen=True, slots=True)
class Replay:
    """A running replay: candle i is the price from ``started_at`` + i minutes / ``speed``.

    After the last candle, the price and its time no longer change, unless ``loop`` starts the recording again. Before
    the start, the recording is repeated backwards at the same speed, so that its candles are complete from the start.
    """

    coin: str
    recording: Recording
    started_at: datetime
    speed: float
    loop: bool = False

    def current(self, now: datetime) -> Value:
        return self._value(self._position(now))

    def change(self, now: datetime) -> float:
        position = self._position(now)
        before = self._value(max(0, position - CHANGE_CANDLES)).value
        return (self._value(position).value / before - 1) * 100

    def history(self, now: datetime) -> list[Value]:
        position = self._position(now)
        return [self._value(number) for number in range(max(0, position - HISTORY_POINTS), position)]

    def volume(self, now: datetime) -> float:
        position = self._position(now)
        return self._traded(position - CHANGE_CANDLES + 1, position + 1)

    def candles(self, start: int, end: int, interval: int) -> list[Candle]:
        found = []
        bounds = range(start, end + 1, interval)
        positions = [self._unlimited_position(datetime.fromtimestamp(second, UTC)) for second in bounds]
        for opened_at, (first, following) in zip(bounds, pairwise(positions), strict=False):
            if not self.loop and first >= len(self.recording.closes):
                break
            # A candle that becomes the price exactly at the end belongs to the next one.
            at_end = self.moment(following) == datetime.fromtimestamp(opened_at + interval, UTC)
            last = max(first, following - at_end)
            if not self.loop:
                last = min(last, len(self.recording.closes) - 1)
            closes = self._closes(first, last + 1)
            begun = first if self.moment(first) == datetime.fromtimestamp(opened_at, UTC) else first + 1
            volume = self._traded(begun, last + 1)
            found.append(Candle(opened_at, self._close(first), max(closes), min(closes), self._close(last), volume))
        return found

    def moment(self, position: int) -> datetime:
        """When the candle at ``position`` becomes the price, rounded to the microsecond."""
        return self.started_at + timedelta(microseconds=round(position * MINUTE_MICROSECONDS / self.speed))

    def _position(self, now: datetime) -> int:
        position = max(0, self._unlimited_position(now))
        return position if self.loop else min(position, len(self.recording.closes) - 1)

    def _unlimited_position(self, now: datetime) -> int:
        """The position at ``now`` if the recording were repeated forever, in both directions."""
        elapsed = (now - self.started_at) / timedelta(microseconds=1)
        position = math.floor(elapsed * self.speed / MINUTE_MICROSECONDS) + 1
        while self.moment(position) > now:  # times are rounded, so the estimate may be late
            position -= 1
        return position

    def _close(self, position: int) -> float:
        return self.recording.closes[position % len(self.recording.closes)]

    def _closes(self, first: int, end: int) -> Sequence[float]:
        """The closing prices at these positions, each at least once."""
        closes = self.recording.closes
        if end - first >= len(closes):
            return closes
        start, stop = first % len(closes), end % len(closes)
        return closes[start:stop] if start < stop else closes[start:] + closes[:stop]

    def _traded(self, first: int, end: int) -> float:
        """The sum of the volumes at these positions."""
        volumes = self.recording.volumes
        if not volumes or end <= first:
            return 0.0
        repeats, rest = divmod(end - first, len(volumes))
        start = first % len(volumes)
        partial = volumes[start : start + rest] + volumes[: max(0, start + rest - len(volumes))]
        return math.fsum(partial) + (repeats * math.fsum(volumes) if repeats else 0.0)

    def _value(self, position: int) -> Value:
        return Value(self._close(position), self.moment(position))


def _rows(path: Path, text: str) -> Iterator[tuple[float, float]]:
    """The close and the volume of each row."""
    rows = csv.reader(text.splitlines())
    header = [column.strip().lower() for column in next(rows, [])]
    missing = [column for column in COLUMNS if column not in header]
    if missing:
        raise ConfigurationError(
            f"{path}, line 1: the column {missing[0]} is missing; required are {', '.join(COLUMNS)}."
        )
    before: datetime | None = None
    for row in rows:
        if not row:
            continue
        where = f"{path}, line {rows.line_num}"
        if len(row) != len(header):
            raise ConfigurationError(f"{where}: {len(row)} values, but the header has {len(header)}.")
        fields = dict(zip(header, row, strict=True))
        moment = _moment(where, fields["timestamp"])
        if before is not None and moment <= before:
            raise ConfigurationError(f"{where}: {fields['timestamp']} is not later than the line before.")
        before = moment
        prices = [_price(where, column, fields[column]) for column in ("open", "high", "low", "close")]
        yield prices[-1], max(0.0, _number(where, "volume", fields["volume"]))


def _moment(where: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise ConfigurationError(
            f"{where}: timestamp is {text!r:.40}, not a time such as 2022-01-01 00:00:00.000000."
        ) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _price(where: str, column: str, text: str) -> float:
    number = _number(where, column, text)
    if number <= 0:
        raise ConfigurationError(f"{where}: {column} is {text.strip():.40}; it must be greater than 0.")
    return number


def _number(where: str, column: str, text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ConfigurationError(f"{where}: {column} is {text!r:.40}, not a number.")
    return number
