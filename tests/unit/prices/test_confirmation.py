"""Price jumps wait until another quote of the exchange confirms them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coinwatch.prices.ingest.confirmation import split_jumps
from tests.support.quotes import instrument, quote

LIMIT = 20.0


def split(*prices: float, last: float | None = 100.0) -> tuple[list[float], list[float]]:
    """The prices that are loaded, and those that wait, of one quote per minute."""
    quotes = [quote(price, minute) for minute, price in enumerate(prices)]
    accepted, held = split_jumps(quotes, {} if last is None else {instrument(): last}, [], LIMIT)
    return [each.price for each in accepted], [jump.quote.price for jump in held]


@pytest.mark.parametrize(
    ("prices", "accepted", "held"),
    [
        ([120, 96], [120, 96], []),
        ([121], [], [121]),
        ([100_000_000, 101], [101], [100_000_000]),
        ([150, 149], [150, 149], []),
        ([60, 61, 100], [60, 61], [100]),
        ([150, 300], [], [150, 300]),
        ([150, 300, 310], [300, 310], [150]),
        ([125, 106], [106], [125]),
    ],
    ids=["within", "beyond", "back", "stays", "crash", "no two agree", "second agrees", "nearer to the price before"],
)
def test_jump_waits_for_a_second_quote_near_it(prices: list[float], accepted: list[float], held: list[float]) -> None:
    assert split(*prices) == (accepted, held)


def test_first_price_of_an_instrument_does_not_wait() -> None:
    assert split(5, last=None) == ([5], [])


def test_same_quote_received_again_confirms_nothing() -> None:
    _, held = split_jumps([quote(500, 1)], {instrument(): 100.0}, [], LIMIT)
    assert split_jumps([quote(500, 1)], {instrument(): 100.0}, held, LIMIT)[0] == []
    accepted, waiting = split_jumps([quote(510, 2)], {instrument(): 100.0}, held, LIMIT)
    assert ([each.price for each in accepted], waiting) == ([500, 510], [])


@given(st.lists(st.floats(1, 1e6), max_size=30), st.data())
def test_accepted_jump_has_a_later_quote_near_it_however_quotes_are_split(
    prices: list[float], data: st.DataObject
) -> None:
    accepted, held = split(*prices)
    before = 100.0
    for number, price in enumerate(accepted):
        if abs(price / before - 1) * 100 > LIMIT:
            assert [other for other in accepted[number + 1 :] if abs(other / price - 1) * 100 <= LIMIT]
        before = price
    assert sorted(accepted + held) == sorted(prices)
    cut = data.draw(st.integers(0, len(prices)))
    quotes = [quote(price, minute) for minute, price in enumerate(prices)]
    first, waiting = split_jumps(quotes[:cut], {instrument(): 100.0}, [], LIMIT)
    last = first[-1].price if first else 100.0
    second, _ = split_jumps(quotes[cut:], {instrument(): last}, waiting, LIMIT)
    assert [each.price for each in [*first, *second]] == accepted
