"""One run of a backfill: resolution by resolution, some calls at a time, each stored and remembered before the next."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import NamedTuple

import structlog
from sqlalchemy import Engine

from coinwatch.clock import Clock
from coinwatch.errors import ExchangeDenied, ExchangeError, ExchangeUnavailable, RateLimited, UnknownSymbol
from coinwatch.exchanges.models import Candle, Exchange, Instrument
from coinwatch.prices.backfill.planning import (
    InstrumentRange,
    has_candles,
    merge_ranges,
    plan,
    record_stored,
    record_unavailable,
)
from coinwatch.prices.backfill.rate_limiter import HistoryRateLimiter, LongRateLimit, Stopped
from coinwatch.prices.candles.resolutions import STORED_RESOLUTIONS, WIDTHS, Resolution, width_seconds
from coinwatch.prices.candles.storage import StoredCandle, StoreResult, store_candles
from coinwatch.time_range import TimeRange, ceil_to, find_uncovered, floor_to, split, subtract

# Candles of the last hours may merely be late: that there are none is not yet an answer.
LATE = timedelta(hours=6)
# A hole from this length on is unavailable, and coarser candles are asked for; in a shorter one nobody traded.
SHORTEST_HOLE: Mapping[Resolution, timedelta] = {
    "1m": timedelta(hours=1),
    "1h": timedelta(hours=6),
    "1d": timedelta(days=1),
}
LONG = timedelta(days=10)  # from here on it pays to ask since when there are candles
PAUSE_BETWEEN_TRIES_SECONDS = 1.0
MOST_PAUSES = 3  # that one call waits for before it counts as failed
FAILURES_AT_MOST = 3  # instruments that fail before the first answer: then the exchange is at fault

log = structlog.get_logger()


class Progress(NamedTuple):
    """A piece is done: so many candles of ``pair`` in [started_at, ended_at). ``total`` pieces of this resolution."""

    pair: str
    resolution: Resolution
    started_at: datetime
    ended_at: datetime
    candles: int
    done: int
    total: int


@dataclass
class BackfillRun:
    """What a run works with, and what has become of it so far.

    ``instruments`` by id, ``failed`` by pair with a reason. ``answered``: the exchange answered for some instrument;
    ``trouble`` is the last error that may be the whole exchange's, ``passing`` says that one may mend itself.
    """

    engine: Engine
    adapter: Exchange
    gate: HistoryRateLimiter
    instruments: Mapping[int, Instrument]
    again: bool
    clock: Clock
    sleep: Callable[[float], None]
    progress: Callable[[Progress], None] | None
    failed: dict[str, str]
    stored: StoreResult = field(default_factory=StoreResult)
    unavailable: int = 0
    answered: bool = False
    passing: bool = False
    trouble: ExchangeError | None = None

    @property
    def offered(self) -> list[Resolution]:
        """The resolutions that the exchange has, finest first."""
        return [
            resolution
            for resolution in STORED_RESOLUTIONS
            if width_seconds(resolution) in self.adapter.candle_intervals
        ]

    def skip_unlisted(self, wanted: Sequence[InstrumentRange]) -> None:
        """Ask for the days of what is long and new first: before the first of them the exchange has nothing at all,
        which so takes a call or two instead of one for every page of minutes."""
        finest, now = self.offered[0], self.clock()
        if finest == "1d" or "1d" not in self.offered:
            return
        whole = [found for stretch in wanted if (found := _whole(stretch, finest, now)) is not None]
        for new in plan(self.engine, finest, whole, self._kept_from(finest, now), self.again).ask:
            days = _whole(new, "1d", now - LATE)
            if days is None or new.time_range.duration < LONG:
                continue
            try:
                candles = self._ask(self.instruments[new.instrument_id], "1d", days)
            except (ExchangeDenied, ExchangeUnavailable):
                continue  # whatever is wrong shows again with the minutes
            start, end = days.time_range.start, days.time_range.end
            first = candles[0].opened_at if candles else end
            unlisted = InstrumentRange(new.instrument_id, TimeRange(start, max(start, first)))
            if first > start and not any(has_candles(self.engine, each, unlisted) for each in self.offered):
                for resolution in self.offered:
                    record_unavailable(self.engine, resolution, [unlisted], now)
                self.unavailable += 1

    def fetch(self, resolution: Resolution, wanted: Sequence[InstrumentRange]) -> list[InstrumentRange]:
        """Fetch candles of one resolution; the stretches that the exchange has none of come back."""
        now = self.clock()
        whole = [found for stretch in wanted if (found := _whole(stretch, resolution, now)) is not None]
        planned = plan(self.engine, resolution, whole, self._kept_from(resolution, now), self.again)
        record_unavailable(self.engine, resolution, planned.gone, now)
        missing = self._ask_for_all(resolution, planned.ask)
        self.unavailable += len(planned.gone) + len(missing)
        known = [hole for hole in planned.unavailable if hole.time_range.duration >= SHORTEST_HOLE[resolution]]
        return [*planned.gone, *self._untouched(resolution, [*missing, *known], now)]

    def _untouched(
        self, resolution: Resolution, holes: Sequence[InstrumentRange], now: datetime
    ) -> list[InstrumentRange]:
        """The coarser candles that lie in holes wholly. One that reaches into stored candles is made of those, unless
        the exchange has dropped some of them: then only it knows the whole."""
        kept_from, coarser = self._kept_from(resolution, now), self._coarser(resolution)
        width = WIDTHS[coarser]
        found = []
        for hole in merge_ranges(holes):
            if kept_from is not None and hole.time_range.start < kept_from:
                found.append(hole)
                continue
            start, end = ceil_to(hole.time_range.start, width), floor_to(hole.time_range.end, width)
            if start < end:
                found.append(InstrumentRange(hole.instrument_id, TimeRange(start, end)))
        return found

    def _coarser(self, resolution: Resolution) -> Resolution:
        """The next coarser resolution that the exchange has; the coarsest itself."""
        position = self.offered.index(resolution)
        return self.offered[min(position + 1, len(self.offered) - 1)]

    def _ask_for_all(self, resolution: Resolution, stretches: Sequence[InstrumentRange]) -> list[InstrumentRange]:
        """Ask, store and remember; the stretches for which the exchange has nothing for good."""
        length = WIDTHS[resolution] * self.adapter.candles_per_call
        total = sum(-(-stretch.time_range.duration // length) for stretch in stretches)
        missing: list[InstrumentRange] = []
        with closing(self._answers(resolution, _pieces(stretches, length))) as answers:
            for done, answer in enumerate(answers, 1):
                self.stored += answer.stored
                missing += answer.missing
                if self.progress is not None:
                    pair = self.instruments[answer.piece.instrument_id].pair
                    start, end = answer.piece.time_range.start, answer.piece.time_range.end
                    self.progress(Progress(pair, resolution, start, end, answer.candles, done, total))
        return missing

    def _answers(self, resolution: Resolution, pieces: Iterator[InstrumentRange]) -> Generator["_Answer"]:
        """Answers as they come, of some calls at a time. Trouble of the exchange as a whole is raised when what is
        under way was stored."""
        trouble: BaseException | None = None
        with ThreadPoolExecutor(self.adapter.max_concurrent_calls) as pool:

            def begin(count: int) -> set[Future[_Answer]]:
                return {pool.submit(self._fetch_piece, resolution, piece) for piece in islice(pieces, count)}

            try:
                running = begin(2 * self.adapter.max_concurrent_calls)
                while running:
                    ended, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in ended:
                        if (error := future.exception()) is None:
                            yield future.result()
                            continue
                        self.gate.stop()
                        trouble = error if trouble is None or isinstance(trouble, Stopped) else trouble
                    if trouble is None:
                        running |= begin(len(ended))
            except BaseException:  # Ctrl-C, or who is told of the progress fails
                self.gate.stop()
                raise
        if trouble is not None:
            raise trouble

    def _fetch_piece(self, resolution: Resolution, piece: InstrumentRange) -> "_Answer":
        """One call's worth: fetched, stored, remembered."""
        instrument = self.instruments[piece.instrument_id]
        if instrument.pair in self.failed:
            return _Answer(piece)
        try:
            candles = self._ask(instrument, resolution, piece)
        except (ExchangeDenied, ExchangeUnavailable) as error:
            log.warning("candles not fetched", exchange=self.adapter.code, pair=instrument.pair, error=error.reason)
            self.failed[instrument.pair] = error.reason
            self.passing |= isinstance(error, ExchangeUnavailable)
            if not isinstance(error, UnknownSymbol):
                self.trouble = error
                if not self.answered and len(self.failed) >= FAILURES_AT_MOST:
                    raise
            return _Answer(piece)
        self.answered = True
        stored = store_candles(
            self.engine, resolution, [StoredCandle(piece.instrument_id, candle) for candle in candles]
        )
        return _Answer(piece, stored, len(candles), self._remember(resolution, piece, candles))

    def _remember(
        self, resolution: Resolution, piece: InstrumentRange, candles: Sequence[Candle]
    ) -> list[InstrumentRange]:
        """Remember what the exchange answered; where it has nothing for good."""
        now, width = self.clock(), WIDTHS[resolution]
        kept_from = self._kept_from(resolution, now)  # while we waited for our turn, some may have fallen out
        start, end = piece.time_range.start, piece.time_range.end
        if kept_from is not None:
            start = max(start, kept_from)
        if end > now - LATE:
            end = candles[-1].opened_at + width if candles else start
        if start >= end:
            return []
        answered = TimeRange(start, end)
        opened = [candle.opened_at for candle in candles]
        holes = [
            hole
            for found in find_uncovered(answered, opened, width, SHORTEST_HOLE[resolution])
            # An exchange that has dropped what it once gave us takes nothing from us.
            if found.end <= now - LATE
            and not has_candles(self.engine, resolution, hole := InstrumentRange(piece.instrument_id, found))
        ]
        left = subtract(answered, [hole.time_range for hole in holes])
        record_unavailable(self.engine, resolution, holes, now)
        stored = [InstrumentRange(piece.instrument_id, part) for part in left]
        record_stored(self.engine, resolution, stored, opened, now)
        return holes

    def _ask(self, instrument: Instrument, resolution: Resolution, piece: InstrumentRange) -> list[Candle]:
        """The exchange's answer; after passing trouble it is asked once more, after a pause it wanted as well."""
        pauses, troubles = 0, 0
        while True:
            try:
                return self.adapter.fetch_candles(instrument, width_seconds(resolution), piece.time_range, self.gate)
            except LongRateLimit:
                raise
            except RateLimited as error:
                self.gate.pause(error)  # and there it is waited for
                pauses += 1
                if pauses > MOST_PAUSES:
                    raise
            except ExchangeUnavailable:
                troubles += 1
                if troubles > 1:
                    raise
                self.sleep(PAUSE_BETWEEN_TRIES_SECONDS)

    def _kept_from(self, resolution: Resolution, now: datetime) -> datetime | None:
        horizon = self.adapter.candle_retention(width_seconds(resolution))
        return None if horizon is None else ceil_to(now - horizon, WIDTHS[resolution])


class _Answer(NamedTuple):
    """What one call brought; ``missing`` is where the exchange has nothing for good."""

    piece: InstrumentRange
    stored: StoreResult = StoreResult()
    candles: int = 0
    missing: Sequence[InstrumentRange] = ()


def _whole(wanted: InstrumentRange, resolution: Resolution, now: datetime) -> InstrumentRange | None:
    """The candles that a stretch touches, as far as they are over; None where none is."""
    width = WIDTHS[resolution]
    start = floor_to(wanted.time_range.start, width)
    end = min(ceil_to(wanted.time_range.end, width), floor_to(now, width))
    return InstrumentRange(wanted.instrument_id, TimeRange(start, end)) if start < end else None


def _pieces(ranges: Sequence[InstrumentRange], length: timedelta) -> Iterator[InstrumentRange]:
    for each in ranges:
        for part in split(each.time_range, length):
            yield InstrumentRange(each.instrument_id, part)
