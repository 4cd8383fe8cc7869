"""Candles of the past, asked of the exchanges: any stretch, any number of times, in any order, the same tables.

What an exchange has answered is remembered in ``candle_fetches``. Minutes are asked for first; where the exchange has
none (any more) hours, and where it has no hours days. What it has nothing of is ``unavailable`` and never asked for
again. A piece of work is one call: what was fetched is stored and remembered before the next, so that work that is
interrupted goes on where it was.
"""

import time
from collections.abc import Callable, Collection, Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any, NamedTuple

import structlog
from sqlalchemy import Engine

from coinwatch.clock import Clock, utc_now
from coinwatch.database import transaction
from coinwatch.errors import (
    ConfigurationError,
    DoNotRetry,
    ExchangeError,
    InvalidRequest,
    RetryLater,
    RetryNow,
    UnknownSymbol,
)
from coinwatch.exchanges.adapter import aligned
from coinwatch.exchanges.domain import Candle, Exchange, Instrument
from coinwatch.exchanges.registry import open_exchange
from coinwatch.prices.candles import SECONDS, Resolution, StoreResult, candle_rows, opened_at, store_candles
from coinwatch.prices.catalog import enabled_exchanges, exchange_id, watched_instruments
from coinwatch.prices.fetches import (
    Stretch,
    has_candles,
    holes_between,
    plan,
    record_stored,
    record_unavailable,
    without,
)
from coinwatch.prices.history_gate import HistoryGate, LongPause, Stopped
from coinwatch.settings import Settings

# Candles of the last hours may merely be late: that there are none is not yet an answer.
LATE = timedelta(hours=6)
# A hole from this length on is unavailable, and coarser candles are asked for; in a shorter one nobody traded.
SHORTEST_HOLE: Mapping[Resolution, timedelta] = {
    "1m": timedelta(hours=1),
    "1h": timedelta(hours=6),
    "1d": timedelta(days=1),
}
PAUSE_BETWEEN_TRIES_SECONDS = 1.0
MOST_PAUSES = 3  # that one call waits for before it counts as failed
FAILURES_AT_MOST = 3  # instruments that fail before the first answer: then the exchange is at fault

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class BackfillResult:
    """What became of the candles fetched, by how many calls; ``unavailable`` stretches were found to be missing at the
    exchange for good. ``failed`` says for a pair why it is not complete, ``passing`` that this may mend itself."""

    stored: StoreResult = field(default_factory=StoreResult)
    requests: int = 0
    unavailable: int = 0
    failed: Mapping[str, str] = field(default_factory=dict)
    passing: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain values, fit for JSON and so for Airflow's XCom."""
        return asdict(self)

    def raise_for_failed(self, code: str) -> None:
        """If a pair failed, an error with a line for each: RetryNow where trying again may help, else DoNotRetry."""
        if self.failed:
            lines = [f"{pair} {reason}" for pair, reason in sorted(self.failed.items())]
            error = RetryNow if self.passing else DoNotRetry
            raise error(code, "not all candles could be fetched:\n  " + "\n  ".join(lines))


class Progress(NamedTuple):
    """A piece is done: so many candles of ``pair`` in [started_at, ended_at). ``total`` pieces of this resolution."""

    pair: str
    resolution: Resolution
    started_at: datetime
    ended_at: datetime
    candles: int
    done: int
    total: int


def backfill_range(
    engine: Engine,
    settings: Settings,
    code: str,
    start: datetime,
    end: datetime,
    *,
    instruments: Collection[int] | None = None,
    again: bool = False,
    clock: Clock = utc_now,
    sleep: Callable[[float], None] = time.sleep,
    progress: Callable[[Progress], None] | None = None,
) -> BackfillResult:
    """Fetch and store one exchange's candles opened in [start, end) (aware), of all watched instruments or of those.

    Only what is over is fetched. With ``again`` also what was stored before is asked for, in case the exchange
    corrected it. Coarser candles reach to the ends of their hour or day. The candles over the new ones are made by the
    next ``refresh_candles``. ``progress`` is called in this thread after each call to the exchange.

    An instrument that fails is named in the result. Raises RetryLater, DoNotRetry or RetryNow where the exchange as a
    whole does not answer (what came before is stored), InvalidRequest, ConfigurationError or DatabaseError.
    """
    for name, moment in (("start", start), ("end", end)):
        if moment.tzinfo is None:
            raise InvalidRequest(name, f"{name} needs a time zone, for example 2026-01-31T12:00:00Z.")
    if start >= end:
        raise InvalidRequest("start", f"The start {start} has to lie before the end {end}.")
    with transaction(engine) as connection:
        number = exchange_id(connection, code)
        watched = {found: instrument for instrument, found in watched_instruments(connection, code).items()}
    if number is None:
        raise ConfigurationError(f"The exchange {code!r} is not in the tables yet. Run: coinwatch migrate")
    chosen = set(watched if instruments is None else instruments)
    failed = {f"instrument {unknown}": f"is not watched at {code}" for unknown in sorted(chosen - watched.keys())}
    with closing(open_exchange(code, settings, clock)) as adapter:
        if not adapter.candle_intervals:
            raise DoNotRetry(code, "has no candles of a minute, an hour or a day")
        gate = HistoryGate(engine, code, number, adapter.history_calls_per_second, clock, sleep)
        adapter.before_history_call = gate.wait
        known = {found: instrument for found, instrument in watched.items() if found in chosen}
        run = _Run(engine, adapter, gate, known, again, clock, sleep, progress, failed)
        wanted = [Stretch(instrument_id, start.astimezone(UTC), end.astimezone(UTC)) for instrument_id in known]
        for resolution in SECONDS:
            if SECONDS[resolution] in adapter.candle_intervals and wanted:
                wanted = run.fetch(resolution, wanted)
    if run.trouble and not run.answered:
        raise run.trouble
    result = BackfillResult(run.stored, gate.calls, run.unavailable, run.failed, run.passing)
    log.info("candles fetched", exchange=code, start=start.isoformat(), end=end.isoformat(), **_figures(result))
    return result


def exchanges_with_candles(engine: Engine, settings: Settings) -> list[str]:
    """Codes of the enabled exchanges whose candles fit ours, sorted."""
    found = []
    for code in enabled_exchanges(engine):
        with closing(open_exchange(code, settings)) as adapter:
            if adapter.candle_intervals:
                found.append(code)
    return found


@dataclass
class _Run:
    """One call of ``backfill_range``: what it works with, and what has become of it so far."""

    engine: Engine
    adapter: Exchange
    gate: HistoryGate
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

    def fetch(self, resolution: Resolution, wanted: Sequence[Stretch]) -> list[Stretch]:
        """Fetch candles of one resolution; the stretches that the exchange has none of come back."""
        now = self.clock()
        whole = [found for stretch in wanted if (found := _whole(stretch, resolution, now)) is not None]
        planned = plan(self.engine, resolution, whole, self._kept_from(resolution, now), self.again)
        record_unavailable(self.engine, resolution, planned.gone, now)
        missing = [*planned.gone, *self._ask_for_all(resolution, planned.ask)]
        self.unavailable += len(missing)
        known = [hole for hole in planned.unavailable if hole.ended_at - hole.started_at >= SHORTEST_HOLE[resolution]]
        return [*missing, *known]

    def _ask_for_all(self, resolution: Resolution, stretches: Sequence[Stretch]) -> list[Stretch]:
        """Ask, store and remember; the stretches for which the exchange has nothing for good."""
        length = timedelta(seconds=SECONDS[resolution]) * self.adapter.candles_per_call
        total = sum(-(-(stretch.ended_at - stretch.started_at) // length) for stretch in stretches)
        missing: list[Stretch] = []
        with closing(self._answers(resolution, _pieces(stretches, length))) as answers:
            for done, answer in enumerate(answers, 1):
                self.stored += answer.stored
                missing += answer.missing
                if self.progress is not None:
                    instrument_id, start, end = answer.piece
                    pair = self.instruments[instrument_id].pair
                    self.progress(Progress(pair, resolution, start, end, answer.candles, done, total))
        return missing

    def _answers(self, resolution: Resolution, pieces: Iterator[Stretch]) -> Generator["_Answer"]:
        """Answers as they come, of some calls at a time. Trouble of the exchange as a whole is raised when what is
        under way was stored."""
        trouble: BaseException | None = None
        with ThreadPoolExecutor(self.adapter.calls_at_once) as pool:

            def begin(count: int) -> set[Future[_Answer]]:
                return {pool.submit(self._fetch_piece, resolution, piece) for piece in islice(pieces, count)}

            try:
                running = begin(2 * self.adapter.calls_at_once)
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

    def _fetch_piece(self, resolution: Resolution, piece: Stretch) -> "_Answer":
        """One call's worth: fetched, stored, remembered."""
        instrument = self.instruments[piece.instrument_id]
        if instrument.pair in self.failed:
            return _Answer(piece)
        try:
            candles = self._ask(instrument, resolution, piece)
        except (DoNotRetry, RetryNow) as error:
            log.warning("candles not fetched", exchange=self.adapter.code, pair=instrument.pair, error=error.reason)
            self.failed[instrument.pair] = error.reason
            self.passing |= isinstance(error, RetryNow)
            if not isinstance(error, UnknownSymbol):
                self.trouble = error
                if not self.answered and len(self.failed) >= FAILURES_AT_MOST:
                    raise
            return _Answer(piece)
        self.answered = True
        stored = store_candles(self.engine, resolution, candle_rows(piece.instrument_id, candles))
        return _Answer(piece, stored, len(candles), self._remember(resolution, piece, candles))

    def _remember(self, resolution: Resolution, piece: Stretch, candles: Sequence[Candle]) -> list[Stretch]:
        """Remember what the exchange answered; where it has nothing for good."""
        now, width = self.clock(), timedelta(seconds=SECONDS[resolution])
        kept_from = self._kept_from(resolution, now)  # while we waited for our turn, some may have fallen out
        start = piece.started_at if kept_from is None else max(piece.started_at, kept_from)
        end = piece.ended_at
        if end > now - LATE:
            end = candles[-1].opened_at + width if candles else start
        answered = Stretch(piece.instrument_id, start, end)
        opened = [candle.opened_at for candle in candles]
        holes = [
            hole
            for hole in holes_between(answered, opened, width, SHORTEST_HOLE[resolution])
            # An exchange that has dropped what it once gave us takes nothing from us.
            if hole.ended_at <= now - LATE and not has_candles(self.engine, resolution, hole)
        ]
        record_unavailable(self.engine, resolution, holes, now)
        record_stored(self.engine, resolution, without(answered, holes), opened, now)
        return holes

    def _ask(self, instrument: Instrument, resolution: Resolution, piece: Stretch) -> list[Candle]:
        """The exchange's answer; after passing trouble it is asked once more, after a pause it wanted as well."""
        pauses, troubles = 0, 0
        while True:
            try:
                return self.adapter.fetch_candles(instrument, SECONDS[resolution], piece.started_at, piece.ended_at)
            except LongPause:
                raise
            except RetryLater as error:
                self.gate.pause(error)  # and there it is waited for
                pauses += 1
                if pauses > MOST_PAUSES:
                    raise
            except RetryNow:
                troubles += 1
                if troubles > 1:
                    raise
                self.sleep(PAUSE_BETWEEN_TRIES_SECONDS)

    def _kept_from(self, resolution: Resolution, now: datetime) -> datetime | None:
        horizon = self.adapter.candle_horizon(SECONDS[resolution])
        return None if horizon is None else aligned(now - horizon, SECONDS[resolution])


class _Answer(NamedTuple):
    """What one call brought; ``missing`` is where the exchange has nothing for good."""

    piece: Stretch
    stored: StoreResult = StoreResult()
    candles: int = 0
    missing: Sequence[Stretch] = ()


def _whole(stretch: Stretch, resolution: Resolution, now: datetime) -> Stretch | None:
    """The candles that a stretch touches, as far as they are over; None where none is."""
    start = opened_at(stretch.started_at, resolution)
    end = min(aligned(stretch.ended_at, SECONDS[resolution]), opened_at(now, resolution))
    return Stretch(stretch.instrument_id, start, end) if start < end else None


def _pieces(stretches: Sequence[Stretch], length: timedelta) -> Iterator[Stretch]:
    for stretch in stretches:
        start = stretch.started_at
        while start < stretch.ended_at:
            end = min(start + length, stretch.ended_at)
            yield Stretch(stretch.instrument_id, start, end)
            start = end


def _figures(result: BackfillResult) -> dict[str, object]:
    figures = {name: value for name, value in result.as_dict().items() if name != "stored"}
    return {**asdict(result.stored), **figures}
