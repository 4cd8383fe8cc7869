"""Fetching pages of candles from one exchange in several threads, which only return what they fetched."""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice

from coinwatch.errors import ExchangeError, ExchangeUnavailable, RateLimited
from coinwatch.exchanges.models import Exchange, Instrument, RawCandle
from coinwatch.prices.backfill.planning import InstrumentRange
from coinwatch.prices.backfill.rate_limiter import HistoryRateLimiter, LongRateLimit, Stopped
from coinwatch.prices.candles.resolutions import Resolution, width_seconds

RETRY_SECONDS = 1.0
MAX_RATE_LIMITS = 3  # that one page waits for before it fails


@dataclass(frozen=True, slots=True)
class FetchedPage:
    """The candles of one request, or the ``error`` it failed with."""

    page: InstrumentRange
    candles: Sequence[RawCandle] = ()
    error: ExchangeError | None = None


class CandleFetcher:
    """Fetches candles through one adapter. ``instruments`` are by id."""

    def __init__(
        self,
        adapter: Exchange,
        rate_limiter: HistoryRateLimiter,
        instruments: Mapping[int, Instrument],
        sleep: Callable[[float], None],
    ) -> None:
        self._adapter = adapter
        self._rate_limiter = rate_limiter
        self._instruments = instruments
        self._sleep = sleep

    def fetch_pages(self, resolution: Resolution, pages: Iterator[InstrumentRange]) -> Generator[FetchedPage]:
        """Fetch pages in several threads and yield them as they complete; close the generator to stop early.

        ``pages`` is consumed in the calling thread. After ``stop``, only the requests in progress are yielded.
        """
        threads = self._adapter.max_concurrent_calls
        with ThreadPoolExecutor(threads) as pool:

            def submit(count: int) -> set[Future[FetchedPage]]:
                return {pool.submit(self.fetch_page, resolution, page) for page in islice(pages, count)}

            try:
                running = submit(threads + 1)
                while running:
                    finished, running = wait(running, return_when=FIRST_COMPLETED)
                    for future in finished:
                        if not isinstance(future.exception(), Stopped):
                            yield future.result()
                    if not self._rate_limiter.is_stopped:
                        running |= submit(len(finished))
            except BaseException:  # Ctrl-C, or an error in the caller
                self.stop()
                raise

    def fetch_page(self, resolution: Resolution, page: InstrumentRange) -> FetchedPage:
        """Fetch one page; retries once if the exchange is unavailable, and after waiting out a short rate limit.

        Raises Stopped after ``stop``; an ExchangeError is returned.
        """
        instrument = self._instruments[page.instrument_id]
        rate_limits, failures = 0, 0
        while True:
            try:
                candles = self._adapter.fetch_candles(
                    instrument, width_seconds(resolution), page.time_range, self._rate_limiter
                )
                return FetchedPage(page, candles)
            except LongRateLimit as error:
                return FetchedPage(page, error=error)
            except RateLimited as error:
                self._rate_limiter.record_rate_limit(error)  # the next attempt waits for it
                rate_limits += 1
                if rate_limits > MAX_RATE_LIMITS:
                    return FetchedPage(page, error=error)
            except ExchangeUnavailable as error:
                failures += 1
                if failures > 1:
                    return FetchedPage(page, error=error)
                self._sleep(RETRY_SECONDS)
            except ExchangeError as error:
                return FetchedPage(page, error=error)

    def stop(self) -> None:
        """Make no further requests; threads that wait for the rate limiter give up."""
        self._rate_limiter.stop()
