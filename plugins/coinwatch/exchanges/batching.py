"""Splitting instruments into requests, and combining the results into one QuoteBatch."""

from collections.abc import Iterable, Iterator, Sequence

from coinwatch.errors import ExchangeError
from coinwatch.exchanges.models import Instrument, Quote, QuoteBatch, RejectedQuote

QuoteResult = Quote | RejectedQuote


def split_into_chunks(instruments: Sequence[Instrument], size: int) -> Iterator[Sequence[Instrument]]:
    """The instruments in groups of up to ``size``, one group for each request."""
    for first in range(0, len(instruments), size):
        yield instruments[first : first + size]


def build_batch(results: Iterable[QuoteResult], error: ExchangeError | None = None) -> QuoteBatch:
    """The results as a QuoteBatch; raises ``error`` if there are none."""
    quotes: list[Quote] = []
    rejected: list[RejectedQuote] = []
    for result in results:
        if isinstance(result, Quote):
            quotes.append(result)
        else:
            rejected.append(result)
    if error is not None and not quotes and not rejected:
        raise error
    return QuoteBatch(quotes, rejected, error)
