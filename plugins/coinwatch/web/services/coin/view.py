"""What the coin page shows, read from its address and written to it: the address reproduces the page."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from coinwatch.codes import DOLLAR_LIKE, code_key
from coinwatch.errors import InvalidRequest, NotFound
from coinwatch.time_range import parse_time_zone, validate_timestamp
from coinwatch.web.formatting import iso
from coinwatch.web.services.choices import Market

ChartType = Literal["candles", "line"]

# Code, label and duration; a year of 365 days.
RANGES: Mapping[str, tuple[str, timedelta]] = {
    "1h": ("1 hour", timedelta(hours=1)),
    "24h": ("24 hours", timedelta(hours=24)),
    "7d": ("7 days", timedelta(days=7)),
    "30d": ("30 days", timedelta(days=30)),
    "90d": ("90 days", timedelta(days=90)),
    "1y": ("1 year", timedelta(days=365)),
    "5y": ("5 years", timedelta(days=5 * 365)),
}
DEFAULT_RANGE = "24h"
CUSTOM = "custom"
SHORTEST_RANGE = timedelta(minutes=5)
AVERAGES = (20, 50, 200)  # the choices on the page
LONGEST_AVERAGE = 200
MAX_AVERAGES = 3
MAX_COMPARED = 7


@dataclass(frozen=True, slots=True)
class CoinView:
    """A market over ``[start, end)`` as candles or a line, or compared with the markets ``compared``.

    ``averages`` are the lengths of moving averages, in candles. ``range`` is a key of RANGES, or CUSTOM. Times that are
    entered without an offset are in ``zone``. ``problems`` has a message per field of the address that was ignored.
    """

    market: Market
    range: str
    start: datetime
    end: datetime
    type: ChartType
    compared: tuple[Market, ...]
    averages: tuple[int, ...]
    zone: ZoneInfo
    problems: Mapping[str, str]

    @property
    def range_label(self) -> str:
        """For example "7 days"; "the chosen time range" for a custom one."""
        return RANGES[self.range][0] if self.range in RANGES else "the chosen time range"

    def query(self, **changes: object) -> str:
        """The query of this view's address, with fields changed; without those that have their default."""
        view = replace(self, **changes)  # type: ignore[arg-type]
        fields = {
            "exchange": market_key(view.market),
            "range": "" if view.range == DEFAULT_RANGE else view.range,
            "start": iso(view.start) if view.range == CUSTOM else "",
            "end": iso(view.end) if view.range == CUSTOM else "",
            "type": "" if view.type == "candles" else view.type,
            "compare": ",".join(market_key(market) for market in view.compared),
            "ma": ",".join(str(length) for length in view.averages),
            "tz": "" if view.zone.key == "UTC" else view.zone.key,
        }
        return urlencode({name: value for name, value in fields.items() if value}, safe=":,")


def market_key(market: Market) -> str:
    """A market in an address: kraken:USD."""
    return f"{market.exchange}:{market.quote}"


def parse_view(
    markets: Sequence[Market],
    now: datetime,
    *,
    exchange: str = "",
    quote: str = "",
    range_: str = "",
    start: str = "",
    end: str = "",
    type_: str = "",
    compare: Sequence[str] = (),
    averages: Sequence[str] = (),
    zone: str = "",
) -> CoinView:
    """The view that an address asks for; ``markets`` are those of the coin, the default first.

    ``exchange`` is a code, or code:currency. ``compare`` and ``averages`` are lists, whose items may be lists separated
    by commas. Anything else that is invalid is ignored and named in ``problems``. Raises NotFound for an exchange or
    currency without prices of the coin.
    """
    problems: dict[str, str] = {}
    market = find_market(markets, exchange, quote)
    time_zone = _parse_zone(zone, problems)
    range_ = range_ or (CUSTOM if start else DEFAULT_RANGE)
    first, last = now - RANGES[DEFAULT_RANGE][1], now
    if range_ == CUSTOM:
        try:
            first, last = _parse_custom(start, end, time_zone, now)
        except InvalidRequest as error:
            problems[error.field] = str(error)
            range_ = DEFAULT_RANGE
    elif range_ in RANGES:
        first = now - RANGES[range_][1]
    else:
        problems["range"] = f"range is {range_!r}; it must be one of {', '.join([*RANGES, CUSTOM])}."
        range_ = DEFAULT_RANGE
    return CoinView(
        market=market,
        range=range_,
        start=first,
        end=last,
        type="line" if type_ == "line" else "candles",
        compared=_parse_compared(markets, market, _items(compare), problems),
        averages=_parse_averages(_items(averages), problems),
        zone=time_zone,
        problems=problems,
    )


def find_market(markets: Sequence[Market], wanted: str, quote: str = "") -> Market:
    """The market named by ``wanted`` (code or code:currency), or the first one in the currency ``quote``.

    Without a currency, US dollars are preferred. Raises NotFound, which lists the exchanges.
    """
    code, _, currency = wanted.partition(":")
    currency = currency or quote
    found = [
        market
        for market in markets
        if (not code or market.exchange == code.lower())
        and (not currency or code_key(market.quote) == code_key(currency))
    ]
    if found:
        first = [market for market in found if market.exchange == found[0].exchange]
        return min(first, key=lambda market: _preference(market.quote))
    names = {market.exchange: market.exchange_name for market in markets}
    available = ", ".join(names.values())
    what = f"{names.get(code.lower(), code) or 'any exchange'}{f' in {currency}' if currency else ''}"
    raise NotFound(f"{markets[0].coin_name} isn't tracked on {what}. Available on: {available}.")


def _preference(quote: str) -> int:
    return DOLLAR_LIKE.index(quote) if quote in DOLLAR_LIKE else len(DOLLAR_LIKE)


def _items(values: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(item.strip() for value in values for item in value.split(",") if item.strip()))


def _parse_zone(zone: str, problems: dict[str, str]) -> ZoneInfo:
    try:
        return parse_time_zone(zone or "UTC")
    except InvalidRequest as error:
        problems["tz"] = str(error)
        return ZoneInfo("UTC")


def _parse_custom(start: str, end: str, zone: ZoneInfo, now: datetime) -> tuple[datetime, datetime]:
    """Raises InvalidRequest for a time that is not valid, and for a range that is too short or in the future."""
    first = _parse_time("start", start, zone)
    last = _parse_time("end", end, zone) if end else now
    if first >= last:
        raise InvalidRequest("end", "The end must be after the start.")
    if first >= now:
        raise InvalidRequest("start", "The start is in the future. Choose a time in the past.")
    if last - first < SHORTEST_RANGE:
        raise InvalidRequest("end", "The range is too short. Choose an end at least 5 minutes after the start.")
    return first, last


def _parse_time(name: str, text: str, zone: ZoneInfo) -> datetime:
    """A date or time in ISO format; without an offset it is in ``zone``. Raises InvalidRequest."""
    text = re.sub(r" (?=\d\d:?\d\d$)", "+", text.strip())  # a + that was not escaped arrives as a space
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        example = "Enter a date and time such as 2026-01-31T12:00."
        raise InvalidRequest(
            name, f"{name} is {text!r}. {example}" if text else f"{name} is missing. {example}"
        ) from None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    validate_timestamp(name, moment)
    return moment.astimezone(UTC)


def _parse_compared(
    markets: Sequence[Market], chosen: Market, wanted: Sequence[str], problems: dict[str, str]
) -> tuple[Market, ...]:
    """The markets named; of an exchange without a currency, the one in the chosen market's currency if there is one."""
    found: list[Market] = []
    for name in wanted:
        try:
            try:
                market = find_market(markets, name, "" if ":" in name else chosen.quote)
            except NotFound:
                market = find_market(markets, name)
        except NotFound as error:
            problems["compare"] = str(error)
            continue
        if market != chosen and market not in found:
            found.append(market)
    if len(found) > MAX_COMPARED:
        problems["compare"] = f"{len(found)} exchanges are given; the maximum is {MAX_COMPARED}."
    return tuple(found[:MAX_COMPARED])


def _parse_averages(wanted: Sequence[str], problems: dict[str, str]) -> tuple[int, ...]:
    lengths: list[int] = []
    for text in wanted:
        if text.isdecimal() and len(text) < 5 and 2 <= int(text) <= LONGEST_AVERAGE:
            lengths.append(int(text))
        else:
            problems["ma"] = f"{text!r} is not a length of a moving average; it must be from 2 to {LONGEST_AVERAGE}."
    if len(lengths) > MAX_AVERAGES:
        problems["ma"] = f"{len(lengths)} moving averages are given; the maximum is {MAX_AVERAGES}."
    return tuple(sorted(set(lengths))[:MAX_AVERAGES])
