"""One backfill of one exchange: resolution by resolution, one page of candles after the other."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog
from sqlalchemy import Engine

from coinwatch.clock import Clock
from coinwatch.errors import ExchangeError, ExchangeUnavailable, RateLimited, UnknownSymbol
from coinwatch.exchanges.models import Exchange, Instrument
from coinwatch.prices.backfill.fetching import CandleFetcher, FetchedPage
from coinwatch.prices.backfill.planning import (
    MAX_DELAY,
    SHORTEST_UNAVAILABLE,
    InstrumentRange,
    expand_to_candles,
    has_exchange_candles,
    merge_ranges,
    plan_fetches,
    record_response,
    record_unavailable,
)
from coinwatch.prices.candle_validation import CandleValidator, ValidationReport
from coinwatch.prices.candles.resolutions import STORED_RESOLUTIONS, WIDTHS, Resolution, width_seconds
from coinwatch.prices.candles.storage import StoredCandle, StoreResult, store_candles
from coinwatch.prices.corporate_actions import Restatement
from coinwatch.time_range import TimeRange, ceil_to, floor_to, split_back

# For a range from this length on, first find out when the instrument was listed.
LONG_RANGE = timedelta(days=10)
MAX_FAILURES = 3  # instruments that fail before the first response: then the exchange is at fault

log = structlog.get_logger()


class Progress(NamedTuple):
    """One page is done: ``candles`` of ``pair`` in ``time_range``. ``done`` of ``total`` pages of this resolution."""

    pair: str
    resolution: Resolution
    time_range: TimeRange
    candles: int
    done: int
    total: int


class BackfillRun:
    """One backfill of one exchange.

    Threads of the fetcher only fetch: candles are stored, and this object's state is changed, in the calling thread.
    ``validation`` counts the candles received; ``failed`` has the reason for each pair that failed; ``retryable``: one
    of them was only unavailable.
    """

    def __init__(
        self,
        engine: Engine,
        adapter: Exchange,
        fetcher: CandleFetcher,
        instruments: Mapping[int, Instrument],
        again: bool,
        clock: Clock,
        progress: Callable[[Progress], None] | None,
        finest: Resolution = "1m",
    ) -> None:
        self.stored = StoreResult()
        self.validation = ValidationReport()
        self._restatement = Restatement(engine)
        self.unavailable = 0
        self.failed: dict[str, str] = {}
        self.retryable = False
        self._engine = engine
        self._adapter = adapter
        self._fetcher = fetcher
        self._instruments = instruments
        self._again = again
        self._clock = clock
        self._progress = progress
        self._finest = finest
        self._got_response = False
        self._last_error: ExchangeError | None = None  # of those that may concern the whole exchange

    def run(self, time_range: TimeRange) -> None:
        """Backfill ``time_range``, finest candles first; raises the ExchangeError if the exchange fails as a whole."""
        if not self._resolutions:
            return
        wanted = [InstrumentRange(instrument_id, time_range) for instrument_id in self._instruments]
        self._skip_before_listing(wanted)
        for resolution in self._resolutions:
            if wanted:
                wanted = self._fetch_resolution(resolution, wanted)
        if self._last_error is not None and not self._got_response:
            raise self._last_error

    @property
    def _resolutions(self) -> list[Resolution]:
        """The resolutions to fetch that the exchange offers, finest first."""
        wanted = STORED_RESOLUTIONS[STORED_RESOLUTIONS.index(self._finest) :]
        return [each for each in wanted if width_seconds(each) in self._adapter.candle_intervals]

    def _skip_before_listing(self, wanted: Sequence[InstrumentRange]) -> None:
        """Mark the time before an instrument's first day as unavailable.

        For a long range not fetched before, this takes one or two requests instead of one for every page of minutes.
        """
        finest, now = self._resolutions[0], self._clock()
        if finest == "1d" or "1d" not in self._resolutions:
            return
        plan = plan_fetches(
            self._engine, finest, expand_to_candles(wanted, finest, now), self._kept_from(finest, now), self._again
        )
        for new in plan.to_fetch:
            if new.time_range.duration < LONG_RANGE:
                continue
            for days in expand_to_candles([new], "1d", now - MAX_DELAY):
                fetched = self._fetcher.fetch_page("1d", days)
                if isinstance(fetched.error, RateLimited):
                    raise fetched.error
                if fetched.error is None:  # otherwise, the same error occurs when fetching minutes
                    self._record_listing(days, fetched, now)

    def _record_listing(self, days: InstrumentRange, fetched: FetchedPage, now: datetime) -> None:
        start, end = days.time_range.start, days.time_range.end
        first = fetched.candles[0].opened_at if fetched.candles else end
        if first <= start:
            return
        before = InstrumentRange(days.instrument_id, TimeRange(start, first))
        if any(has_exchange_candles(self._engine, resolution, before) for resolution in self._resolutions):
            return
        for resolution in self._resolutions:
            record_unavailable(self._engine, resolution, [before], now)
        self.unavailable += 1

    def _fetch_resolution(self, resolution: Resolution, wanted: Sequence[InstrumentRange]) -> list[InstrumentRange]:
        """Fetch the candles of one resolution; returns the ranges for which to fetch coarser ones."""
        now = self._clock()
        plan = plan_fetches(
            self._engine,
            resolution,
            expand_to_candles(wanted, resolution, now),
            self._kept_from(resolution, now),
            self._again,
        )
        record_unavailable(self._engine, resolution, plan.expired, now)
        unavailable = self._fetch_ranges(resolution, plan.to_fetch)
        self.unavailable += len(plan.expired) + len(unavailable)
        shortest = SHORTEST_UNAVAILABLE[resolution]
        unavailable += [known for known in plan.unavailable if known.time_range.duration >= shortest]
        return [*plan.expired, *self._coarser_ranges(resolution, unavailable, now)]

    def _fetch_ranges(self, resolution: Resolution, ranges: Sequence[InstrumentRange]) -> list[InstrumentRange]:
        """Fetch, store and record the candles of ``ranges``, newest first; returns the parts that are unavailable."""
        length = WIDTHS[resolution] * self._adapter.candles_per_call
        # The first pages are full, which shows adapters whether an exchange returns fewer candles than it states.
        pages = [
            InstrumentRange(each.instrument_id, part) for each in ranges for part in split_back(each.time_range, length)
        ]
        pages.sort(key=lambda page: page.time_range.start, reverse=True)
        total, done = len(pages), 0
        unavailable: list[InstrumentRange] = []
        failure: ExchangeError | None = None

        def remaining_pages() -> Iterator[InstrumentRange]:
            nonlocal done
            for page in pages:
                if self._instruments[page.instrument_id].pair in self.failed:
                    done += 1
                else:
                    yield page

        with closing(self._fetcher.fetch_pages(resolution, remaining_pages())) as fetched_pages:
            for fetched in fetched_pages:
                done += 1
                if fetched.error is None:
                    unavailable += self._store(resolution, fetched)
                elif self._is_fatal(fetched.page, fetched.error):
                    failure = failure or fetched.error
                    self._fetcher.stop()  # what is already being fetched is still stored
                if self._progress is not None:
                    pair = self._instruments[fetched.page.instrument_id].pair
                    page_range, candles = fetched.page.time_range, len(fetched.candles)
                    self._progress(Progress(pair, resolution, page_range, candles, done, total))
        if failure is not None:
            raise failure
        return unavailable

    def _store(self, resolution: Resolution, fetched: FetchedPage) -> list[InstrumentRange]:
        self._got_response = True
        now = self._clock()
        valid = CandleValidator(resolution, now, self.validation).validate(fetched.candles)
        candles = [StoredCandle(fetched.page.instrument_id, candle) for candle, _ in valid]
        rows = self._restatement.candles(resolution, candles)
        self.stored += store_candles(self._engine, resolution, rows)
        kept_from = self._kept_from(resolution, now)
        return record_response(self._engine, resolution, fetched.page, [candle for candle, _ in valid], kept_from, now)

    def _is_fatal(self, page: InstrumentRange, error: ExchangeError) -> bool:
        """Record a failed page; returns whether the whole backfill has to stop."""
        if isinstance(error, RateLimited):
            return True
        pair = self._instruments[page.instrument_id].pair
        log.warning("candles not fetched", exchange=self._adapter.code, instrument=pair, error=error.reason)
        self.failed[pair] = error.reason
        self.retryable |= isinstance(error, ExchangeUnavailable)
        if isinstance(error, UnknownSymbol):
            return False
        self._last_error = error
        return not self._got_response and len(self.failed) >= MAX_FAILURES

    def _coarser_ranges(
        self, resolution: Resolution, unavailable: Sequence[InstrumentRange], now: datetime
    ) -> list[InstrumentRange]:
        """The parts of ``unavailable`` that consist of whole coarser candles.

        A coarser candle that overlaps stored ones is rolled up from them, unless the exchange no longer keeps some of
        those: then only the exchange has the complete candle.
        """
        kept_from = self._kept_from(resolution, now)
        coarser = self._resolutions[self._resolutions.index(resolution) + 1 :]
        width = WIDTHS[coarser[0] if coarser else resolution]
        found = []
        for each in merge_ranges(unavailable):
            if kept_from is not None and each.time_range.start < kept_from:
                found.append(each)
                continue
            start, end = ceil_to(each.time_range.start, width), floor_to(each.time_range.end, width)
            if start < end:
                found.append(InstrumentRange(each.instrument_id, TimeRange(start, end)))
        return found

    def _kept_from(self, resolution: Resolution, now: datetime) -> datetime | None:
        retention = self._adapter.candle_retention(width_seconds(resolution))
        return None if retention is None else ceil_to(now - retention, WIDTHS[resolution])
