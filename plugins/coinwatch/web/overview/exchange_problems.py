"""Exchanges without current prices, for a notice to everybody: without error messages, which may contain addresses."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from coinwatch.prices.history.markets import MarketPrice
from coinwatch.status import ExchangeHealth

SILENT = "has no new prices"


@dataclass(frozen=True, slots=True)
class ExchangeProblem:
    """An enabled exchange without current prices.

    ``since`` is when its newest price was observed (None if it never had one), ``reason`` a part of a sentence.
    """

    exchange: str
    name: str
    reason: str
    since: datetime | None


def find_problems(
    prices: Iterable[MarketPrice], exchanges: Sequence[ExchangeHealth], now: datetime, max_age: timedelta
) -> list[ExchangeProblem]:
    """The enabled exchanges whose newest price is older than ``max_age``, ordered as ``exchanges``.

    If none of them has new prices although none fails, it is one problem, without the code of an exchange.
    """
    newest: dict[str, datetime] = {}
    for price in prices:
        newest[price.exchange] = max(price.observed_at, newest.get(price.exchange, price.observed_at))
    problems = []
    for exchange in exchanges:
        last = newest.get(exchange.code)
        if not exchange.enabled or (last is not None and now - last <= max_age):
            continue
        if last is None and not exchange.failures:
            continue  # just enabled
        problems.append(ExchangeProblem(exchange.code, exchange.name, _reason(exchange, now), last))
    silent = [problem for problem in problems if problem.reason == SILENT]
    if len(silent) > 1 and len(silent) == sum(exchange.enabled for exchange in exchanges):
        since = max((problem.since for problem in silent if problem.since), default=None)
        return [ExchangeProblem("", "No exchange", "has new prices: their collection may have stopped", since)]
    return problems


def _reason(exchange: ExchangeHealth, now: datetime) -> str:
    if exchange.blocked_until is not None and exchange.blocked_until > now:
        return "has limited our requests"
    return "isn't responding" if exchange.failures else SILENT
