"""What is particular to one exchange each."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from coinwatch.errors import ConfigurationError, DoNotRetry, RetryLater, RetryNow
from coinwatch.exchanges.binance import Binance
from coinwatch.exchanges.coinnews import Coinnews
from coinwatch.exchanges.domain import Exchange, Instrument, Refusal
from coinwatch.exchanges.session import BodyTooLarge, GuardedSession
from coinwatch.exchanges.through_ccxt import ThroughCcxt
from tests.exchange_server import ExchangeServer

NOW = datetime(2026, 11, 20, 12, 0, 30, tzinfo=UTC)

OpenAdapter = Callable[..., Exchange]
InstrumentOf = Callable[..., Instrument]


def test_a_body_past_the_limit_is_not_read_on(far_end: ExchangeServer) -> None:
    far_end.fail("binance", "endless")

    with pytest.raises(BodyTooLarge):
        GuardedSession(seconds=30, body_limit=1_000_000).get(far_end.base_url("binance"))


class TestBinance:
    def test_twenty_symbols_go_in_a_call(
        self, far_end: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
    ) -> None:
        pairs = far_end.market.generate("binance", 45)
        adapter = open_adapter("binance")

        batch = adapter.fetch_quotes([instrument_of(adapter, pair.split("/")[0]) for pair in pairs])

        assert len(batch.quotes) == 45
        assert [request.path for request in far_end.requests("binance")] == ["/api/v3/ticker/24hr"] * 3
        assert far_end.market.binance_used_weight == 6

    def test_the_whole_market_is_asked_for_where_that_weighs_less(
        self, far_end: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
    ) -> None:
        pairs = far_end.market.generate("binance", 850)
        adapter = open_adapter("binance")
        instruments = [instrument_of(adapter, pair.split("/")[0]) for pair in pairs]

        batch = adapter.fetch_quotes([*instruments, instrument_of(adapter, "NOSUCHCOIN")])

        assert len(batch.quotes) == 850
        assert [each.reason for each in batch.refused] == [Refusal.UNKNOWN_SYMBOL]
        assert far_end.market.binance_used_weight == 80

    def test_it_stops_before_the_weight_of_the_minute_is_spent_and_keeps_what_it_has(
        self, far_end: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
    ) -> None:
        pairs = far_end.market.generate("binance", 60)
        far_end.market.binance_used_weight = 5397
        adapter = open_adapter("binance")

        batch = adapter.fetch_quotes([instrument_of(adapter, pair.split("/")[0]) for pair in pairs])

        assert len(batch.quotes) == 40
        assert isinstance(batch.trouble, RetryLater)
        assert batch.trouble.not_before == datetime(2026, 11, 20, 12, 1, tzinfo=UTC)
        assert len(far_end.requests("binance")) == 2

    def test_a_ban_half_way_keeps_the_quotes_that_came_before(
        self, far_end: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
    ) -> None:
        pairs = far_end.market.generate("binance", 60)
        far_end.fail("binance", "status", status=418, headers={"Retry-After": "300"}, after=1)
        adapter = open_adapter("binance")

        batch = adapter.fetch_quotes([instrument_of(adapter, pair.split("/")[0]) for pair in pairs])

        assert len(batch.quotes) == 20
        assert isinstance(batch.trouble, RetryLater)
        assert batch.trouble.not_before == NOW + timedelta(seconds=300)
        assert len(far_end.requests("binance")) == 2

    def test_another_rejection_than_an_unknown_symbol_is_told_in_binances_words(
        self, far_end: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
    ) -> None:
        far_end.fail("binance", "status", status=400, body={"code": -1104, "msg": "Not all sent parameters were read"})
        adapter = open_adapter("binance")

        with pytest.raises(DoNotRetry, match="Not all sent parameters were read"):
            adapter.fetch_quotes([instrument_of(adapter, "BTC")])

    def test_a_delisted_symbol_is_not_listed(self, open_adapter: OpenAdapter) -> None:
        assert "LUNAUSDT" not in {each.symbol for each in open_adapter("binance").list_instruments()}

    def test_it_asks_the_host_that_needs_no_key_by_default(self) -> None:
        assert Binance.base_url == "https://data-api.binance.vision"


class TestCoinbase:
    def test_few_products_are_asked_for_one_by_one_and_many_by_the_statistics(
        self, far_end: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
    ) -> None:
        pairs = far_end.market.generate("coinbase", 31)
        adapter = open_adapter("coinbase")
        instruments = [instrument_of(adapter, pair.split("/")[0]) for pair in pairs]

        few = adapter.fetch_quotes(instruments[:3])
        asked = {request.path for request in far_end.requests("coinbase")}
        many = adapter.fetch_quotes(instruments)

        assert asked == {"/products/BTC-USD/ticker", "/products/ETH-USD/ticker", "/products/SOL-USD/ticker"}
        assert len(far_end.requests("coinbase")) == 4
        assert [quote.price for quote in few.quotes] == [quote.price for quote in many.quotes[:3]]

    def test_tickers_take_over_when_the_statistics_are_gone(
        self, far_end: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
    ) -> None:
        pairs = far_end.market.generate("coinbase", 31)
        far_end.fail("coinbase", "status", status=404, body={"message": "NotFound"}, path="/products/stats")
        adapter = open_adapter("coinbase")

        batch = adapter.fetch_quotes([instrument_of(adapter, pair.split("/")[0]) for pair in pairs])

        assert len(batch.quotes) == 31

    def test_one_failing_product_costs_only_itself_and_is_told(
        self, far_end: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
    ) -> None:
        far_end.fail("coinbase", "status", status=500, path="/products/ETH-USD/")
        adapter = open_adapter("coinbase")

        batch = adapter.fetch_quotes([instrument_of(adapter, base) for base in ("BTC", "ETH", "SOL")])

        assert [quote.instrument.base for quote in batch.quotes] == ["BTC", "SOL"]
        assert isinstance(batch.trouble, RetryNow)

    def test_a_wish_for_a_pause_stops_the_remaining_calls(
        self, far_end: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
    ) -> None:
        pairs = far_end.market.generate("coinbase", 30)
        far_end.fail("coinbase", "status", status=429, headers={"Retry-After": "5"}, after=2)
        adapter = open_adapter("coinbase")

        batch = adapter.fetch_quotes([instrument_of(adapter, pair.split("/")[0]) for pair in pairs])

        assert isinstance(batch.trouble, RetryLater)
        assert len(far_end.requests("coinbase")) < 10

    def test_a_wrong_address_is_not_taken_for_unknown_products(
        self, far_end: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
    ) -> None:
        far_end.fail("coinbase", "status", status=404, body="<html>no such page</html>")
        adapter = open_adapter("coinbase")

        with pytest.raises(DoNotRetry, match="base_url"):
            adapter.fetch_quotes([instrument_of(adapter, "BTC")])


class TestKraken:
    @pytest.mark.parametrize(
        ("error", "kind"),
        [
            ("EAPI:Rate limit exceeded", RetryLater),
            ("EGeneral:Too many requests", RetryLater),
            ("EGeneral:Temporary lockout", RetryLater),
            ("EService:Unavailable", RetryNow),
            ("EService:Busy", RetryNow),
            ("EGeneral:Internal error", RetryNow),
            ("EGeneral:Invalid arguments", DoNotRetry),
            ("EGeneral:Permission denied", DoNotRetry),
        ],
    )
    def test_an_error_with_status_200_is_an_error(
        self,
        error: str,
        kind: type[Exception],
        far_end: ExchangeServer,
        open_adapter: OpenAdapter,
        instrument_of: InstrumentOf,
    ) -> None:
        far_end.fail("kraken", "json", body={"error": [error]})
        adapter = open_adapter("kraken")

        with pytest.raises(kind, match=error.partition(":")[2]):
            adapter.fetch_quotes([instrument_of(adapter, "BTC")])

    @pytest.mark.parametrize(("seconds", "expected"), [(25, 25), (99_999, 3600), (-5, 1)])
    def test_a_throttle_names_its_end(
        self,
        seconds: int,
        expected: int,
        far_end: ExchangeServer,
        open_adapter: OpenAdapter,
        instrument_of: InstrumentOf,
    ) -> None:
        until = int(NOW.timestamp()) + seconds
        far_end.fail("kraken", "json", body={"error": [f"EService:Throttled: {until}"]})
        adapter = open_adapter("kraken")

        with pytest.raises(RetryLater) as caught:
            adapter.fetch_quotes([instrument_of(adapter, "BTC")])

        assert caught.value.not_before == NOW + timedelta(seconds=expected)

    def test_a_warning_is_no_error(
        self, far_end: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
    ) -> None:
        ticker = {"error": ["WDatabase:No change"], "result": {"XXBTZUSD": {"c": ["5.0", "1"]}}}
        far_end.fail("kraken", "json", body=ticker, path="/Ticker")
        adapter = open_adapter("kraken")

        assert [quote.price for quote in adapter.fetch_quotes([instrument_of(adapter, "BTC")]).quotes] == [5.0]

    @pytest.mark.parametrize("symbol", ["XBTUSD", "XXBTZUSD", "XBT/USD", "BTCUSD"])
    def test_bitcoin_is_found_by_every_name_kraken_gave_it(self, symbol: str, open_adapter: OpenAdapter) -> None:
        instrument = Instrument("kraken", "BTC", "USD", symbol)

        (quote,) = open_adapter("kraken").fetch_quotes([instrument]).quotes

        assert quote.instrument == instrument
        assert quote.price == 96_000.0

    def test_the_last_candle_is_left_out_even_if_our_clock_says_it_is_over(
        self, far_end: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
    ) -> None:
        first = int(NOW.timestamp()) // 60 * 60 - 600
        rows = [[first + 60 * index, "2.0", "3.0", "1.0", "2.5", "2.2", "10.0", 4] for index in range(3)]
        far_end.fail("kraken", "json", body={"error": [], "result": {"XXBTZUSD": rows, "last": first + 60}})
        adapter = open_adapter("kraken")

        found = adapter.fetch_candles(instrument_of(adapter, "BTC"), 60, NOW - timedelta(hours=1), NOW)

        assert [each.opened_at.timestamp() for each in found] == [first, first + 60]

    def test_our_codes_become_krakens(self, open_adapter: OpenAdapter) -> None:
        adapter = open_adapter("kraken")

        assert adapter.symbol_for("BTC", "USD") == "XBTUSD"
        assert adapter.symbol_for("ETH", "BTC") == "ETHXBT"
        assert adapter.symbol_for("DOGE", "USD") == "XDGUSD"

    def test_two_calls_are_enough_when_all_is_well(
        self, far_end: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
    ) -> None:
        adapter = open_adapter("kraken")

        adapter.fetch_quotes([instrument_of(adapter, base) for base in ("BTC", "ETH", "DOGE")])

        assert len(far_end.requests("kraken")) == 2


class TestCoinGecko:
    def test_one_call_brings_everything_and_asks_for_times(
        self, far_end: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
    ) -> None:
        adapter = open_adapter("coingecko")

        adapter.fetch_quotes([instrument_of(adapter, base) for base in ("BTC", "ETH", "DOGE")])

        (request,) = far_end.requests("coingecko")
        assert request.query["ids"] == "bitcoin,ethereum,dogecoin"
        assert request.query["include_last_updated_at"] == "true"

    def test_its_volume_in_dollars_becomes_one_in_coins(
        self, far_end: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
    ) -> None:
        body = {"bitcoin": {"usd": 50_000, "usd_24h_vol": 1_000_000.0, "last_updated_at": int(NOW.timestamp())}}
        far_end.fail("coingecko", "json", body=body)
        adapter = open_adapter("coingecko")

        (quote,) = adapter.fetch_quotes([instrument_of(adapter, "BTC")]).quotes

        assert quote.volume_24h == pytest.approx(20.0)

    def test_the_key_goes_in_the_demo_plans_header(
        self, far_end: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
    ) -> None:
        adapter = open_adapter("coingecko", api_key="CG-key")

        adapter.fetch_quotes([instrument_of(adapter, "BTC")])

        assert far_end.requests("coingecko")[0].headers["x-cg-demo-api-key"] == "CG-key"

    def test_its_plan_allows_a_call_every_five_minutes_unless_configured(self, open_adapter: OpenAdapter) -> None:
        assert open_adapter("coingecko").minimum_interval_seconds == 300
        assert open_adapter("coingecko", minimum_interval_seconds=60).minimum_interval_seconds == 60
        assert open_adapter("binance").minimum_interval_seconds == 0

    def test_a_price_without_its_time_is_refused(
        self, far_end: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
    ) -> None:
        far_end.fail("coingecko", "json", body={"bitcoin": {"usd": 50_000}})
        adapter = open_adapter("coingecko")

        (refused,) = adapter.fetch_quotes([instrument_of(adapter, "BTC")]).refused

        assert refused.reason is Refusal.MALFORMED


class TestCoinnews:
    @pytest.mark.parametrize(
        ("text", "moment"),
        [
            ("2026-11-20T11:59:58Z", datetime(2026, 11, 20, 11, 59, 58, tzinfo=UTC)),
            ("2026-11-20T11:59:58.5Z", datetime(2026, 11, 20, 11, 59, 58, 500_000, tzinfo=UTC)),
            ("2026-11-20T11:59:58.123456789Z", datetime(2026, 11, 20, 11, 59, 58, 123_456, tzinfo=UTC)),
            ("2026-11-20T13:59:58.25+02:00", datetime(2026, 11, 20, 11, 59, 58, 250_000, tzinfo=UTC)),
        ],
    )
    def test_its_times_are_read_with_any_number_of_digits_and_any_offset(
        self,
        text: str,
        moment: datetime,
        far_end: ExchangeServer,
        open_adapter: OpenAdapter,
        instrument_of: InstrumentOf,
    ) -> None:
        far_end.market.set_price("coinnews", "BTC", "USD", 5.0, at=text)
        adapter = open_adapter("coinnews")

        assert [each.observed_at for each in adapter.fetch_quotes([instrument_of(adapter, "BTC")]).quotes] == [moment]

    @pytest.mark.parametrize("text", ["", "yesterday", "2026-11-20 11:59:58", "2026-13-01T00:00:00Z"])
    def test_a_time_that_is_none_refuses_the_quote(
        self, text: str, far_end: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
    ) -> None:
        far_end.market.set_price("coinnews", "BTC", "USD", 5.0, at=text)
        adapter = open_adapter("coinnews")

        assert [each.reason for each in adapter.fetch_quotes([instrument_of(adapter, "BTC")]).refused] == [
            Refusal.MALFORMED
        ]

    def test_no_history_is_an_empty_one(self, open_adapter: OpenAdapter, instrument_of: InstrumentOf) -> None:
        adapter = open_adapter("coinnews")
        assert isinstance(adapter, Coinnews)

        assert not adapter.fetch_history(instrument_of(adapter, "BTC")).quotes
        assert [each.reason for each in adapter.fetch_history(instrument_of(adapter, "NONE")).refused] == [
            Refusal.UNKNOWN_SYMBOL
        ]

    def test_its_history_comes_oldest_first_without_its_broken_points(
        self, far_end: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
    ) -> None:
        points = [
            {"value": 3.0, "date": "2026-11-20T11:03:00Z"},
            {"value": 1.0, "date": "2026-11-20T11:01:00Z"},
            {"value": 0, "date": "2026-11-20T11:02:00Z"},
            {"value": 4.0},
        ]
        far_end.fail("coinnews", "json", body=points, path="/history")
        adapter = open_adapter("coinnews")
        assert isinstance(adapter, Coinnews)

        history = adapter.fetch_history(instrument_of(adapter, "BTC"))

        assert [quote.price for quote in history.quotes] == [1.0, 3.0]
        assert [each.reason for each in history.refused] == [Refusal.NOT_POSITIVE, Refusal.MALFORMED]

    def test_it_knows_dollars_only(self, open_adapter: OpenAdapter, instrument_of: InstrumentOf) -> None:
        adapter = open_adapter("coinnews")

        assert [each.reason for each in adapter.fetch_quotes([instrument_of(adapter, "BTC", "EUR")]).refused] == [
            Refusal.UNKNOWN_SYMBOL
        ]


class TestThroughCcxt:
    def test_an_id_that_ccxt_does_not_know_is_a_wrong_setting(self, open_adapter: OpenAdapter) -> None:
        with pytest.raises(ConfigurationError, match=r"exchanges\.bitstamp\.ccxt_id.*'nosuchvenue'"):
            open_adapter("bitstamp", ccxt_id="nosuchvenue")

    def test_tickers_come_in_one_call_after_the_list_of_markets(
        self, far_end: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
    ) -> None:
        adapter = open_adapter("bitstamp")

        adapter.fetch_quotes([instrument_of(adapter, base) for base in ("BTC", "ETH", "XRP")])

        assert [request.path for request in far_end.requests("bitstamp")] == ["/api/v2/markets/", "/api/v2/ticker/"]

    def test_a_quote_without_a_time_is_as_old_as_its_answer(
        self, far_end: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
    ) -> None:
        far_end.fail("bitstamp", "json", body=[{"pair": "BTC/USD", "last": "5.0"}], path="/ticker")
        adapter = open_adapter("bitstamp")

        (quote,) = adapter.fetch_quotes([instrument_of(adapter, "BTC")]).quotes

        assert quote.observed_at == quote.received_at == NOW

    def test_an_exchange_without_a_call_for_all_tickers_is_asked_one_by_one(
        self, far_end: ExchangeServer, open_adapter: OpenAdapter, instrument_of: InstrumentOf
    ) -> None:
        adapter = open_adapter("bitstamp")
        assert isinstance(adapter, ThroughCcxt)
        adapter._venue.has["fetchTickers"] = False

        batch = adapter.fetch_quotes([instrument_of(adapter, base) for base in ("BTC", "ETH", "NONE")])

        assert [quote.price for quote in batch.quotes] == [96_000.0, 3_350.0]
        assert [each.reason for each in batch.refused] == [Refusal.UNKNOWN_SYMBOL]
