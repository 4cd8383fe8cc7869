"""The simulated market: deterministic, plausible, and bounded."""

import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import correlation, stdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coinwatch.coinnews.bisection import PERIOD_SECONDS
from coinwatch.coinnews.market import find_coin, load_coins
from coinwatch.coinnews.replay import Recording, Replay
from coinwatch.coinnews.server import rfc3339
from coinwatch.coinnews.simulation import (
    COMMON,
    SAMPLING,
    YEAR_SECONDS,
    Simulation,
    simulated_candles,
    simulated_price,
)
from coinwatch.exchanges.timestamps import parse_rfc3339
from coinwatch.settings import load_settings

COINS = load_coins()
BTC = COINS["BTC"]
NOW = 1_795_000_000
SECONDS = st.integers(1_600_000_000, 2_500_000_000)


def test_prices_do_not_change_between_versions() -> None:
    """Stored history must continue seamlessly after an upgrade."""
    assert simulated_price(BTC, 1, NOW) == 94_495.936


@given(second=SECONDS, seed=st.integers(0, 10**9))
def test_prices_depend_only_on_seed_and_time_and_stay_near_the_base_price(second: int, seed: int) -> None:
    for coin in COINS.values():
        price = simulated_price(coin, seed, second)
        assert price == simulated_price(coin, seed, second)
        assert coin.price / 10 < price < coin.price * 10


@settings(max_examples=20)
@given(second=SECONDS, seed=st.integers(0, 10**6))
def test_start_time_of_the_server_does_not_affect_prices(second: int, seed: int) -> None:
    now = datetime.fromtimestamp(second, UTC)
    early, late = (Simulation(BTC, seed, now - timedelta(days=days)) for days in (100, 1))

    assert early.current(now) == late.current(now)
    assert early.change(now) == late.change(now)
    assert early.history(now)[-100:] == late.history(now)[-100:]


@pytest.mark.parametrize("code", COINS)
@pytest.mark.parametrize("step", [60, 3600])
def test_price_volatility_matches_the_coin(code: str, step: int) -> None:
    coin = COINS[code]
    prices = [simulated_price(coin, 1, NOW + index * step) for index in range(2000)]
    returns = [math.log(after / before) for before, after in pairwise(prices)]

    assert stdev(returns) * math.sqrt(YEAR_SECONDS / step) == pytest.approx(coin.volatility, rel=0.1)


def test_prices_do_not_jump_at_the_end_of_a_period() -> None:
    border = 200 * 2**23
    step = max(
        abs(math.log(simulated_price(BTC, 1, border + at) / simulated_price(BTC, 1, border + at - 1)))
        for at in range(-20, 20)
    )

    assert step < 10 * BTC.volatility / math.sqrt(YEAR_SECONDS)


@settings(max_examples=30)
@given(
    second=st.one_of(SECONDS, st.integers(-300, 300).map(lambda at: 200 * PERIOD_SECONDS + at)),
    seed=st.integers(0, 10**6),
    interval=st.sampled_from(sorted(SAMPLING)),
    count=st.integers(1, 70),
)
def test_candles_are_made_of_the_prices(second: int, seed: int, interval: int, count: int) -> None:
    start = second // interval * interval
    candles = simulated_candles(BTC, seed, start, start + count * interval, interval)
    assert [candle.opened_at for candle in candles] == [start + number * interval for number in range(count)]
    for candle in candles[:3] + candles[-3:]:
        assert candle.open == simulated_price(BTC, seed, candle.opened_at)
        assert candle.close == simulated_price(BTC, seed, candle.opened_at + interval)
        sampled = candle.opened_at + -candle.opened_at % SAMPLING[interval]
        assert candle.low <= simulated_price(BTC, seed, sampled) <= candle.high
    part = simulated_candles(BTC, seed, start + count // 2 * interval, start + count * interval, interval)
    assert part == candles[count // 2 :]


@settings(max_examples=20)
@given(hour=st.integers(450_000, 600_000), seed=st.integers(0, 10**6))
def test_volumes_of_minutes_add_up_to_that_of_the_day(hour: int, seed: int) -> None:
    end = hour * 3600
    minutes = simulated_candles(BTC, seed, end - 86400, end, 60)
    day = Simulation(BTC, seed, datetime.now(UTC)).volume(datetime.fromtimestamp(end, UTC))
    assert min(minute.volume for minute in minutes) > 0
    assert sum(minute.volume for minute in minutes) == pytest.approx(day, rel=1e-6)
    hours = simulated_candles(BTC, seed, end - 86400, end, 3600)
    assert sum(hour.volume for hour in hours) == pytest.approx(day, rel=1e-6)


def test_coins_are_correlated() -> None:
    def returns(code: str) -> list[float]:
        prices = [simulated_price(COINS[code], 1, NOW + 60 * index) for index in range(2000)]
        return [math.log(after / before) for before, after in pairwise(prices)]

    assert correlation(returns("BTC"), returns("ETH")) == pytest.approx(COMMON**2, abs=0.1)


def test_coin_names_match_the_configuration() -> None:
    configured = load_settings().coins

    assert {code: COINS[code].name for code in configured if code in COINS} == {
        code: coin.name for code, coin in configured.items() if code in COINS
    }
    assert find_coin(COINS, "dogeCOIN") == COINS["DOGE"]
    assert find_coin(COINS, "") is None


@given(
    speed=st.floats(0.01, 60_000), position=st.integers(0, 99), started=st.integers(0, 10**6), late=st.integers(0, 999)
)
def test_replay_position_follows_from_its_time(speed: float, position: int, started: int, late: int) -> None:
    started_at = datetime(2026, 11, 20, tzinfo=UTC) + timedelta(microseconds=started)
    recording = Recording(path=Path("x.csv"), closes=tuple(map(float, range(1, 101))), digest="")
    replay = Replay("BTC", recording, started_at, speed)
    now = replay.moment(position) + timedelta(microseconds=late)

    current = replay.current(now)

    assert current.at <= now
    assert current.value == 1.0 + round((current.at - started_at).total_seconds() * speed / 60)
    if position < 99 and replay.moment(position + 1) > now:
        assert current.value == 1.0 + position


@settings(max_examples=50)
@given(
    speed=st.sampled_from([0.3, 1.0, 7.5, 60.0, 30_000.0]),
    loop=st.booleans(),
    started=st.integers(-60_000_000, 60_000_000),
    minute=st.integers(-300, 300),
)
def test_replayed_candles_are_made_of_the_replayed_prices(speed: float, loop: bool, started: int, minute: int) -> None:
    started_at = datetime(2026, 11, 20, tzinfo=UTC) + timedelta(microseconds=started)
    closes = tuple(float(1 + number * 37 % 101) for number in range(101))
    replay = Replay("BTC", Recording(Path("x.csv"), closes, "", (2.0,) * 101), started_at, speed, loop)
    start = int(datetime(2026, 11, 20, tzinfo=UTC).timestamp()) + 60 * minute
    candles = replay.candles(start, start + 180, 60)
    if not loop and datetime.fromtimestamp(start, UTC) >= replay.moment(101):
        assert candles == []
        return
    assert candles[0].opened_at == start
    for candle in candles:
        opened_at = datetime.fromtimestamp(candle.opened_at, UTC)
        assert candle.low <= min(candle.open, candle.close) <= max(candle.open, candle.close) <= candle.high
        if opened_at >= started_at:
            assert candle.open == replay.current(opened_at).value
            last = replay.current(opened_at + timedelta(minutes=1) - timedelta(microseconds=1))
            assert candle.close == last.value
    if loop and len(candles) == 3:
        assert sum(candle.volume for candle in candles) == pytest.approx(2 * 3 * speed, abs=2)


def test_time_before_a_replay_repeats_the_recording_backwards() -> None:
    started_at = datetime(2026, 11, 20, tzinfo=UTC)
    replay = Replay("BTC", Recording(Path("x.csv"), (1.0, 2.0, 3.0), "", (1.0, 1.0, 4.0)), started_at, 1.0)
    start = int(started_at.timestamp())
    candles = replay.candles(start - 240, start + 600, 60)
    assert [candle.close for candle in candles] == [3, 1, 2, 3, 1, 2, 3], "no candle after the end"
    assert [candle.volume for candle in candles] == [4, 1, 1, 4, 1, 1, 4]
    assert replay.volume(started_at) == 1440 * 2


@given(
    moment=st.datetimes(min_value=datetime(1970, 1, 2), timezones=st.just(UTC))  # noqa: DTZ001
)
def test_formatted_times_parse_to_the_same_time(moment: datetime) -> None:
    assert parse_rfc3339(rfc3339(moment)) == moment
