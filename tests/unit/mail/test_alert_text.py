"""New highs and lows, and the steps of a ladder, in words."""

from typing import Any

import pytest

from coinwatch.mail.content import alerts
from coinwatch.notifications.alert_text import condition, headline, reference_label
from tests.support.email_payloads import ALERT

HIGH = {
    "kind": "new_high",
    "direction": "up",
    "threshold": 0,
    "window_seconds": 2_592_000,
    "price": 101_234.0,
    "reference": 100_950.1,
    "reference_at": "2026-02-12T00:00:00+00:00",
    "change_percent": 0.28,
    "exchange": "index",
}
STEP = {"kind": "crosses", "threshold": 100_000.0, "ladder_percent": 5.0, "price": 105_100.0, "reference": 100_000.0}
STEP |= {"change_percent": 5.1, "steps": 1, "exchange": "index"}


@pytest.mark.parametrize(
    ("fields", "expected", "compared_with"),
    [
        (HIGH, "BTC at a new 30-day high: 101,234.00 USD", "Previous 30-day high"),
        (
            HIGH | {"kind": "new_low", "window_seconds": 0},
            "BTC at a new all-time low: 101,234.00 USD",
            "Previous all-time low",
        ),
        (STEP, "BTC rose a further 5.1% to 105,100.00 USD", "Previous step"),
        (STEP | {"steps": 3}, "BTC rose a further 5.1% (3 steps) to 105,100.00 USD", "Previous step"),
        (STEP | {"change_percent": -5.1}, "BTC fell a further 5.1% to 105,100.00 USD", "Previous step"),
    ],
)
def test_headline(fields: dict[str, Any], expected: str, compared_with: str) -> None:
    alert = ALERT | fields
    assert (headline(alert), reference_label(alert)) == (expected, compared_with)


def test_step_exactly_at_the_level_is_not_called_a_crossing() -> None:
    assert headline(ALERT | STEP | {"price": 100_000.0}).startswith("BTC rose a further")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (HIGH, "the price reaches a new 30-day high"),
        (HIGH | {"threshold": 1}, "the price rises 1% or more above its 30-day high"),
        (STEP | {"direction": "up"}, "the price rises to 100,000.00 USD, and again every further 5%"),
    ],
)
def test_condition(fields: dict[str, Any], expected: str) -> None:
    assert condition(ALERT | fields) == expected


@pytest.mark.parametrize(
    ("moment", "shown"),
    [("2026-02-12T00:00:00+00:00", "2026-02-12"), ("2026-02-12T14:00:00+00:00", "2026-02-12 15:00 CET")],
)
def test_email_shows_the_day_of_a_high_that_is_known_by_day(moment: str, shown: str) -> None:
    content = alerts({"timezone": "Europe/Berlin", "alerts": [ALERT | HIGH | {"reference_at": moment}]})
    assert content.values["alerts"][0]["reference_observed"] == shown
