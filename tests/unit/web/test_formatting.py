"""Template filters."""

import pytest

from coinwatch.web.formatting import NO_VALUE, amount, change, price, spread


def test_missing_values_are_shown_as_a_dash() -> None:
    assert {price(None), amount(None), change(None)} == {NO_VALUE}


@pytest.mark.parametrize(
    ("bid", "ask", "text"),
    [(43215.1, 43223.74389, "8.64"), (43215.12, 43215.121, "0.001"), (1.0, 1.0, "0.00"), (0.5, 0.50005, "0.00005")],
)
def test_spread_has_at_least_as_many_decimals_as_the_price(bid: float, ask: float, text: str) -> None:
    assert spread((bid, ask)) == text
