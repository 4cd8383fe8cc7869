"""The responses of each exchange: paths, parameters and payloads follow its documentation."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.exchange_server.market import GeneratedCandle, Listing, Market, candles, coingecko_id
from tests.exchange_server.recorded import RecordedCandle

Query = Mapping[str, str]


@dataclass(frozen=True)
class Reply:
    """``payload`` is sent as JSON, a ``bytes`` payload as it is."""

    payload: object
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def respond(exchange: str, market: Market, path: str, query: Query) -> Reply:
    """The exchange's response to ``GET path?query``."""
    return RESPONDERS[exchange](market, path, query)


def coinnews(market: Market, path: str, query: Query) -> Reply:
    listings = {listing.base.lower(): listing for listing in market.listings("coinnews")}
    parts = path.strip("/").split("/")
    if parts == ["api", "data"]:
        return Reply([listing.base for listing in listings.values()])
    listing = listings.get(parts[2].lower()) if len(parts) in (3, 4) and parts[:2] == ["api", "data"] else None
    if listing is None:
        return Reply(b"404 page not found\n", 404, {"Content-Type": "text/plain; charset=utf-8"})
    if parts[3:] == ["candles"]:
        interval, now = int(query["interval"]), int(market.clock().timestamp())
        last = min(int(query["end"]), now - interval + 1) - 1
        found = market.candles("coinnews", listing, int(query["start"]), last, interval)
        rows = [[each.opened_at, each.open, each.high, each.low, each.close, each.volume] for each in found]
        return Reply(_mixed(market, rows))
    if len(parts) == 4:
        return Reply(None)
    return Reply(
        {
            "name": listing.base,
            "value": listing.price,
            "market_value": 1.9e12,
            "roc": -0.42,
            "updated_at": listing.at if isinstance(listing.at, str) else _rfc3339(market.moment(listing)),
            "volume_24h": listing.volume,
        }
    )


def coingecko(market: Market, path: str, query: Query) -> Reply:
    listings = market.listings("coingecko")
    if path == "/api/v3/coins/list":
        return Reply(
            [{"id": coingecko_id(each.base), "symbol": each.base.lower(), "name": each.base} for each in listings]
        )
    if path == "/api/v3/simple/price":
        table: dict[str, dict[str, object]] = {}
        currencies = query.get("vs_currencies", "").split(",")
        for listing in listings:
            name, currency = coingecko_id(listing.base), listing.quote.lower()
            if name not in query.get("ids", "").split(","):
                continue
            row = table.setdefault(name, {})
            if currency in currencies:
                row[currency] = listing.price
                if query.get("include_24hr_vol") == "true":  # in the quote currency, not in base
                    price = listing.price if isinstance(listing.price, float | int) else 1.0
                    row[f"{currency}_24h_vol"] = listing.volume * price
            if query.get("include_last_updated_at") == "true":
                row["last_updated_at"] = _seconds(market, listing)
        return Reply(table)
    if path.startswith("/api/v3/coins/") and path.endswith("/ohlc"):
        days = int(query["days"])
        interval = 1800 if days <= 2 else 14400
        now = int(market.clock().timestamp())
        found = candles(now - days * 86400, now, interval)
        rows = [[(each.opened_at + interval) * 1000, each.open, each.high, each.low, each.close] for each in found]
        return Reply(_mixed(market, rows))
    return Reply({"error": "Incorrect path. Please check https://www.coingecko.com/api/"}, 404)


def binance(market: Market, path: str, query: Query) -> Reply:
    listings = {listing.base + listing.quote: listing for listing in market.listings("binance")}
    weight = 2
    reply = Reply({"code": -1000, "msg": "unknown path"}, 404)
    if path == "/api/v3/ticker/24hr":
        wanted = json.loads(query["symbols"]) if "symbols" in query else list(listings)
        weight = 2 if len(wanted) <= 20 else 40 if len(wanted) <= 100 else 80
        if any(symbol not in listings for symbol in wanted):
            reply = Reply({"code": -1121, "msg": "Invalid symbol."}, 400)
        else:
            reply = Reply([_binance_ticker(market, symbol, listings[symbol]) for symbol in wanted])
    elif path == "/api/v3/ticker/price":
        weight = 4
        reply = Reply([{"symbol": symbol, "price": _text(each.price)} for symbol, each in listings.items()])
    elif path == "/api/v3/exchangeInfo":
        weight = 20
        wanted = json.loads(query["symbols"]) if "symbols" in query else list(listings)
        symbols = [
            {"symbol": symbol, "status": each.term or "TRADING", "baseAsset": each.base, "quoteAsset": each.quote}
            for symbol, each in listings.items()
            if symbol in wanted
        ]
        if any(symbol not in listings for symbol in wanted):
            reply = Reply({"code": -1121, "msg": "Invalid symbol."}, 400)
        else:
            reply = Reply({"timezone": "UTC", "rateLimits": [], "symbols": symbols})
    elif path == "/api/v3/klines":
        reply = _binance_klines(market, query, listings.get(query.get("symbol", "")))
    return Reply(reply.payload, reply.status, {"X-MBX-USED-WEIGHT-1M": str(market.spend_weight(weight))})


def _binance_ticker(market: Market, symbol: str, listing: Listing) -> dict[str, object]:
    closed_at = listing.at if isinstance(listing.at, str) else round(market.moment(listing).timestamp() * 1000)
    return {
        "symbol": symbol,
        "lastPrice": _text(listing.price),
        "bidPrice": _text(listing.bid if listing.bid is not None else listing.price),
        "askPrice": _text(listing.ask if listing.ask is not None else listing.price),
        "volume": _text(listing.volume),
        "quoteVolume": "1.0",
        "openTime": 0,
        "closeTime": closed_at,
        "count": 12345,
    }


def _binance_klines(market: Market, query: Query, listing: Listing | None) -> Reply:
    if listing is None:
        return Reply({"code": -1121, "msg": "Invalid symbol."}, 400)
    interval = {"1m": 60, "5m": 300, "1h": 3600, "1d": 86400}[query["interval"]]
    now = int(market.clock().timestamp())
    first, last = int(query["startTime"]) // 1000, min(int(query["endTime"]) // 1000, now)
    found = market.candles("binance", listing, first, last, interval)[: int(query.get("limit", 500))]
    rows = [
        [
            each.opened_at * 1000,
            *(_text(number) for number in (each.open, each.high, each.low, each.close, each.volume)),
            (each.opened_at + interval) * 1000 - 1,
            _text(each.volume * each.close),
            42,
            "0.5",
            "0.5",
            "0",
        ]
        for each in found
    ]
    return Reply(_mixed(market, rows))


COINBASE_CODES = {"CELO": "CGLD"}
COINBASE_STATUSES = ("offline", "internal", "delisted")
COINBASE_FLAGS = ("trading_disabled", "cancel_only", "post_only", "limit_only", "auction_mode")


def coinbase(market: Market, path: str, query: Query) -> Reply:
    listings = {
        f"{COINBASE_CODES.get(listing.base, listing.base)}-{listing.quote}": listing
        for listing in market.listings("coinbase")
    }
    if path == "/products":
        return Reply(
            [
                {
                    "id": name,
                    "base_currency": each.base,
                    "quote_currency": each.quote,
                    "status": each.term if each.term in COINBASE_STATUSES else "online",
                    **{flag: each.term == flag for flag in COINBASE_FLAGS},
                }
                for name, each in listings.items()
            ]
        )
    if path == "/products/stats":
        return Reply(
            {
                name: {
                    "stats_30day": {"volume": "1.0"},
                    "stats_24hour": {
                        "open": "1",
                        "high": "1",
                        "low": "1",
                        "last": _text(each.price),
                        "volume": _text(each.volume),
                    },
                }
                for name, each in listings.items()
            }
        )
    _, _, rest = path.partition("/products/")
    name, _, what = rest.partition("/")
    listing = listings.get(name)
    if listing is None or what not in {"ticker", "candles"}:
        return Reply({"message": "NotFound"}, 404)
    if what == "ticker":
        return Reply(
            {
                "ask": _text(listing.ask if listing.ask is not None else listing.price),
                "bid": _text(listing.bid if listing.bid is not None else listing.price),
                "volume": _text(listing.volume),
                "trade_id": 1,
                "price": _text(listing.price),
                "size": "0.1",
                "time": listing.at if isinstance(listing.at, str) else _rfc3339(market.moment(listing)),
            }
        )
    interval = int(query["granularity"])
    first, last = (int(datetime.fromisoformat(query[name]).timestamp()) for name in ("start", "end"))
    found = market.candles("coinbase", listing, first, min(last, int(market.clock().timestamp())), interval, gaps=True)
    if (last - first) // interval + 1 > 300:
        return Reply({"message": "granularity too small for the requested time range. Count of aggregations"}, 400)
    rows = [[each.opened_at, each.low, each.high, each.open, each.close, each.volume] for each in reversed(found)]
    return Reply(_mixed(market, rows))


# In the names of its oldest pairs, Kraken prefixes coins with X and currencies with Z.
KRAKEN_OLD = {"BTC": "XXBT", "ETH": "XETH", "XRP": "XXRP", "DOGE": "XXDG", "LTC": "XLTC", "ZEC": "XZEC"}
KRAKEN_CODES = {"BTC": "XBT", "DOGE": "XDG", "LUNC": "LUNA", "LUNA": "LUNA2", "REP": "REPV2", "USTC": "UST"}


def kraken(market: Market, path: str, query: Query) -> Reply:
    listings: dict[str, Listing] = {}
    names: dict[str, str] = {}
    for listing in market.listings("kraken"):
        base, quote = (KRAKEN_CODES.get(code, code) for code in (listing.base, listing.quote))
        old = listing.base in KRAKEN_OLD and listing.quote == "USD" and listing.base != "DOGE"
        key = f"{KRAKEN_OLD[listing.base]}Z{quote}" if old else base + quote
        listings[key] = listing
        names |= {key: key, base + quote: key, f"{base}/{quote}": key}
    wanted = query["pair"].split(",") if "pair" in query else list(listings)
    if any(name not in names for name in wanted):
        return Reply({"error": ["EQuery:Unknown asset pair"]})
    if path == "/0/public/AssetPairs":
        return Reply({"error": [], "result": {names[name]: _kraken_pair(listings[names[name]]) for name in wanted}})
    if path == "/0/public/Ticker":
        return Reply({"error": [], "result": {names[name]: _kraken_ticker(listings[names[name]]) for name in wanted}})
    if path == "/0/public/OHLC":
        interval = int(query.get("interval", "1")) * 60
        now = int(market.clock().timestamp())
        listing, since = listings[names[wanted[0]]], max(int(query.get("since", "0")) + 1, now - 719 * interval)
        found = list(market.candles("kraken", listing, since, now, interval))
        if not found or found[-1].opened_at + interval <= now:  # the current one is always present
            found.append(RecordedCandle(now // interval * interval, 1.0, 1.0, 1.0, 1.0, 0.0))
        rows = [_kraken_candle(each) for each in found]
        committed = _mixed(market, rows[:-1])
        return Reply({"error": [], "result": {names[wanted[0]]: [*committed, *rows[-1:]], "last": now - interval}})
    return Reply({"error": ["EGeneral:Unknown method"]})


def _kraken_pair(listing: Listing) -> dict[str, object]:
    base, quote = (KRAKEN_CODES.get(code, code) for code in (listing.base, listing.quote))
    return {
        "altname": base + quote,
        "wsname": f"{base}/{quote}",
        "base": base,
        "quote": quote,
        "status": listing.term or "online",
    }


def _kraken_ticker(listing: Listing) -> dict[str, object]:
    bid = listing.bid if listing.bid is not None else listing.price
    ask = listing.ask if listing.ask is not None else listing.price
    return {
        "a": [_text(ask), "1", "1.000"],
        "b": [_text(bid), "2", "2.000"],
        "c": [_text(listing.price), "0.0012"],
        "v": ["0.1", _text(listing.volume)],
        "p": ["1", "1"],
        "t": [1, 1],
        "l": ["1", "1"],
        "h": ["1", "1"],
        "o": "1.0",
    }


def _kraken_candle(each: GeneratedCandle | RecordedCandle) -> list[object]:
    prices = [_text(number) for number in (each.open, each.high, each.low, each.close, each.close)]
    return [each.opened_at, *prices, _text(each.volume), 42]


def bitstamp(market: Market, path: str, query: Query) -> Reply:
    listings = {(listing.base + listing.quote).lower(): listing for listing in market.listings("bitstamp")}
    parts = path.strip("/").split("/")
    if parts == ["api", "v2", "markets"]:
        return Reply(
            [
                {
                    "name": f"{each.base}/{each.quote}".upper(),
                    "market_symbol": name,
                    "base_currency": each.base.upper(),
                    "base_decimals": 8,
                    "counter_currency": each.quote,
                    "counter_decimals": 2,
                    "minimum_order_value": "10",
                    "trading": each.term or "Enabled",
                    "market_type": "SPOT",
                }
                for name, each in listings.items()
            ]
        )
    if parts == ["api", "v2", "ticker"]:
        return Reply([_bitstamp_ticker(market, each) for each in listings.values()])
    if len(parts) == 4 and parts[2] == "ticker" and parts[3] in listings:
        return Reply(_bitstamp_ticker(market, listings[parts[3]]))
    if len(parts) == 4 and parts[2] == "ohlc" and parts[3] in listings:
        listing = listings[parts[3]]
        step, limit = int(query["step"]), int(query["limit"])
        last = min(int(query["end"]), int(market.clock().timestamp()))
        rows = [
            {
                "timestamp": str(each.opened_at),
                "open": _text(each.open),
                "high": _text(each.high),
                "low": _text(each.low),
                "close": _text(each.close),
                "volume": _text(each.volume),
            }
            for each in market.candles("bitstamp", listing, int(query["start"]), last, step)[:limit]
        ]
        return Reply({"data": {"pair": parts[3], "ohlc": _mixed(market, rows)}})
    return Reply({"error": "Invalid currency pair."}, 404)


def _bitstamp_ticker(market: Market, listing: Listing) -> dict[str, object]:
    return {
        "timestamp": str(_seconds(market, listing)),
        "pair": f"{listing.base}/{listing.quote}".upper(),  # Bitstamp writes all codes in capitals
        "last": _text(listing.price),
        "bid": _text(listing.bid if listing.bid is not None else listing.price),
        "ask": _text(listing.ask if listing.ask is not None else listing.price),
        "volume": _text(listing.volume),
        "vwap": "1.0",
        "high": "1.0",
        "low": "1.0",
        "open": "1.0",
    }


OKX_PAGE = 300


def okx(market: Market, path: str, query: Query) -> Reply:
    listings = {f"{listing.base}-{listing.quote}": listing for listing in market.listings("okx")}
    if path == "/api/v5/public/instruments":
        spot = [
            {
                "instId": name,
                "instType": "SPOT",
                "baseCcy": each.base,
                "quoteCcy": each.quote,
                "state": each.term or "live",
                "tickSz": "0.1",
                "lotSz": "0.0001",
                "minSz": "0.0001",
            }
            for name, each in listings.items()
        ]
        return Reply({"code": "0", "msg": "", "data": spot if query.get("instType") == "SPOT" else []})
    if path in {"/api/v5/market/candles", "/api/v5/market/history-candles"}:
        limit = int(query.get("limit", "100"))
        if limit > OKX_PAGE:
            return Reply({"code": "51000", "msg": "Parameter limit error", "data": []})
        interval = {"1m": 60, "1H": 3600, "1Dutc": 86400}[query["bar"]]
        now = int(market.clock().timestamp())
        after, before = int(query["after"]) // 1000, int(query["before"]) // 1000  # exclusive, newest and oldest
        found = market.candles("okx", listings[query["instId"]], before + 1, min(after - 1, now), interval)
        rows = [
            [
                str(each.opened_at * 1000),
                *(_text(number) for number in (each.open, each.high, each.low, each.close, each.volume)),
                "1",
                "1",
                "1",
            ]
            for each in list(found)[-limit:][::-1]
        ]
        return Reply({"code": "0", "msg": "", "data": rows})
    return Reply({"code": "50011", "msg": "unknown path", "data": []}, 404)


RESPONDERS: Mapping[str, Callable[[Market, str, Query], Reply]] = {
    "coinnews": coinnews,
    "coingecko": coingecko,
    "binance": binance,
    "coinbase": coinbase,
    "kraken": kraken,
    "bitstamp": bitstamp,
    "okx": okx,
}


def _text(number: float | str | None) -> str | None:
    """A number as the exchanges write it, including NaN and inf."""
    return number if number is None or isinstance(number, str) else repr(float(number))


def _seconds(market: Market, listing: Listing) -> object:
    return listing.at if isinstance(listing.at, str) else int(market.moment(listing).timestamp())


def _rfc3339(moment: datetime) -> str:
    text = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".")
    return f"{text}Z"


def _mixed(market: Market, rows: Sequence[object]) -> list[object]:
    """If the market mixes candles, every row twice and the second half first."""
    half = len(rows) // 2
    return [*rows[half:], *rows[:half], *rows] if market.mixed_candles else list(rows)
