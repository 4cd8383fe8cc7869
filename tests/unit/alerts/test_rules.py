"""Rules as text, and their limits."""

from datetime import UTC, datetime, timedelta

import pytest

from coinwatch.alerts.rules import Rule, check_rule, describe
from coinwatch.errors import InvalidRequest

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (Rule(threshold=2.5), "the price moves by 2.5% or more between two updates"),
        (Rule("change_over_window", 5, "up", window_seconds=3600), "the price rises by 5% or more within 1 hour"),
        (
            Rule("deviation_from_average", 2, "down", window_seconds=300),
            "the price falls 2% or more below its average over the last 5 minutes",
        ),
        (
            Rule("deviation_from_average", 2, window_seconds=3600),
            "the price moves 2% or more away from its average over the last hour",
        ),
        (Rule("crosses", 70_000, "up"), "the price rises to 70,000.00 USD"),
        (Rule("new_low", 0, "down", window_seconds=31_449_600), "the price reaches a new 52-week low"),
        (Rule("new_high", 2, "up"), "the price rises 2% or more above its all-time high"),
        (Rule("crosses", 1500, metric="volume_24h"), "the 24 h volume reaches 1,500.00 BTC"),
    ],
    ids=lambda value: value if isinstance(value, str) else value.kind,
)
def test_describe_rule(rule: Rule, expected: str) -> None:
    assert describe(rule, "USD", "BTC") == expected


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        (Rule("doubles"), "kind"),  # type: ignore[arg-type]
        (Rule(metric="market_cap"), "metric"),  # type: ignore[arg-type]
        (Rule(direction="sideways"), "direction"),  # type: ignore[arg-type]
        (Rule(threshold=0.001), "threshold_percent"),
        (Rule(threshold=float("nan")), "threshold_percent"),
        (Rule("crosses", 0), "level"),
        (Rule("new_high", -1, "up"), "threshold_percent"),
        (Rule("new_high", 0, "down"), "direction"),
        (Rule("new_high", 0, "up", window_seconds=3600), "period"),
        (Rule("new_low", 0, "down", "volume_24h", window_seconds=2_592_000), "period"),
        (Rule("crosses", 5, ladder_percent=0.01), "ladder_percent"),
        (Rule("crosses", 5, ladder_percent=float("nan")), "ladder_percent"),
        (Rule("crosses", 5, repeat=False, ladder_percent=5), "ladder_percent"),
        (Rule("change_since_last", 5, ladder_percent=5), "ladder_percent"),
        (Rule(window_seconds=60), "window_seconds"),
        (Rule("change_over_window", window_seconds=30), "window_seconds"),
        (Rule("deviation_from_average", window_seconds=86_401), "window_seconds"),
        (Rule(cooldown_seconds=31 * 86_400), "cooldown_seconds"),
        (Rule(expires_at=NOW), "expires_at"),
        (Rule(expires_at=NOW.replace(tzinfo=None) + timedelta(days=1)), "expires_at"),
        (Rule(expires_at=NOW.replace(year=9999)), "expires_at"),
    ],
)
def test_invalid_rule_is_reported_by_field(rule: Rule, field: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        check_rule(rule, NOW)
    assert caught.value.field == field


def test_window_below_the_minimum_is_reported_with_both_values() -> None:
    with pytest.raises(InvalidRequest, match="window_seconds is 30; the minimum is 60"):
        check_rule(Rule("change_over_window", window_seconds=30), NOW)
