"""What the form says about the current value, for every kind of rule."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from coinwatch.alerts.distance import Distance, firing_levels
from coinwatch.alerts.distance_summary import summarize_distance
from coinwatch.alerts.rules import Rule

AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
VALUE = Distance(95_591.67, AT)
BELOW = replace(VALUE, reference=100_211, change_percent=-4.61, fires_at=100_211, distance_percent=4.83, is_true=False)
HOUR = Rule("change_over_window", 5, window_seconds=3600)
CHANGED = replace(
    VALUE, reference=95_210.0, change_percent=0.4, fires_at=99_970.5, distance_percent=4.58, is_true=False
)


@pytest.mark.parametrize(
    ("rule", "distance", "parts"),
    [
        (Rule("crosses", 100_211, "up"), BELOW, ["BTC is 95,591.67 USD now", "4.61% below your level"]),
        (Rule("crosses", 100_211, "either"), BELOW, ["4.61% below your level"]),
        (
            Rule("crosses", 90_000, "up"),
            replace(BELOW, change_percent=6.21, is_true=True),
            ["already true", "6.21% above your level", "the next time it rises to it"],
        ),
        (Rule("crosses", 95_591.67, "either"), replace(BELOW, change_percent=0.0), ["exactly your level"]),
        (HOUR, CHANGED, ["+0.40% over 1 h", "The nearest value at which the alert fires is 99,970.50 USD (+4.58%)"]),
        (
            HOUR,
            replace(CHANGED, change_percent=-6.1, is_true=True, distance_percent=0.0),
            ["already true", "-6.10% over 1 h", "at the next update"],
        ),
        (HOUR, VALUE, ["needs 1 h of history"]),
        (
            Rule("deviation_from_average", 2, "down", window_seconds=300),
            replace(CHANGED, fires_at=93_000, distance_percent=-2.71),
            ["+0.40% from its average over the last 5 min", "The alert fires at 93,000.00 USD (-2.71%)"],
        ),
        (
            Rule("change_since_last", 5, "up"),
            CHANGED,
            ["+0.40% since the update before", "The alert fires if the next update is"],
        ),
        (
            Rule("change_over_window", 150, "down", window_seconds=3600),
            replace(CHANGED, fires_at=None, distance_percent=None),
            ["A fall of 150% can't happen"],
        ),
        (
            Rule("crosses", 5000, "up", "volume_24h"),
            replace(BELOW, value=4800.0, change_percent=-4.0),
            ["BTC's 24 h volume is 4,800 BTC now", "4% below your level"],
        ),
        (
            Rule("new_high", 0, "up", window_seconds=2_592_000),
            replace(BELOW, reference=100_211.0),
            ["4.61% below its 30-day high of 100,211.00 USD", "The alert fires beyond 100,211.00 USD (+4.83%)"],
        ),
        (
            Rule("new_low", 0, "down"),
            replace(BELOW, is_true=True),
            ["its all-time low", "if the next update goes further"],
        ),
        (Rule("new_high", 0, "up", window_seconds=604_800), VALUE, ["needs 7 d of history"]),
        (
            Rule("crosses", 90_000, "up", ladder_percent=5),
            replace(VALUE, fires_at=99_225.0, distance_percent=3.8, is_true=False, is_step=True),
            ["BTC is 95,591.67 USD now", "fires again at 99,225.00 USD (+3.80%)"],
        ),
        (
            replace(HOUR, ladder_percent=1.0),
            replace(VALUE, fires_at=95_000.0, distance_percent=0.0, is_true=True, is_step=True),
            ["beyond the next step of 95,000.00 USD", "after the cooldown"],
        ),
    ],
)
def test_distance_is_described(rule: Rule, distance: Distance, parts: list[str]) -> None:
    text = summarize_distance(distance, rule, "BTC", "USD")
    assert [part for part in parts if part not in text] == []
    assert ("already true" in text) == ("already true" in parts)


def test_nothing_is_said_without_a_value() -> None:
    assert summarize_distance(Distance(), HOUR, "BTC", "USD") == ""


@pytest.mark.parametrize(
    ("rule", "levels"),
    [
        (Rule("crosses", 70_000), [(70_000, "Level")]),
        (HOUR, [(105, "+5%"), (95, "-5%")]),
        (replace(HOUR, direction="down"), [(95, "-5%")]),
        (replace(HOUR, threshold=150.0), [(250, "+150%")]),
        (Rule("change_since_last", 10, "up"), [(220, "+10%")]),
    ],
)
def test_levels_are_those_at_which_it_fires(rule: Rule, levels: list[tuple[float, str]]) -> None:
    distance = Distance(value=200, observed_at=AT, reference=100)
    assert [(round(value, 6), label) for value, label in firing_levels(distance, rule)] == levels


def test_window_without_history_has_no_levels() -> None:
    assert firing_levels(VALUE, HOUR) == []
