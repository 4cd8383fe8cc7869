"""The simulated market: deterministic, plausible, and bounded."""

import math
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from statistics import correlation, stdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coinwatch.coinnews.market import COMMON, YEAR_SECONDS, Simulation, find_coin, load_coins, simulated_price
from coinwatch.coinnews.replay import Recording, Replay
from coinwatch.coinnews.server import rfc3339
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


@given(
    moment=st.datetimes(min_value=datetime(1970, 1, 2), timezones=st.just(UTC))  # noqa: DTZ001
)
def test_formatted_times_parse_to_the_same_time(moment: datetime) -> None:
    assert parse_rfc3339(rfc3339(moment)) == moment
