"""The signed-in subscriber's alerts on the coin page's chart."""

from dataclasses import asdict, dataclass
from typing import Any

from coinwatch.alerts.fired import direction_of, read_own_alerts, read_own_levels
from coinwatch.alerts.rules import CROSSES
from coinwatch.database import transaction
from coinwatch.notifications.alert_text import change_text
from coinwatch.prices.catalog import find_instrument
from coinwatch.time_range import TimeRange
from coinwatch.web.dependencies import Site
from coinwatch.web.services.coin.view import CoinView


@dataclass(frozen=True, slots=True)
class OwnAlerts:
    """Levels and markers as the chart's script takes them (``scripts/charts/price_chart.js``)."""

    levels: list[dict[str, Any]]
    markers: list[dict[str, Any]]


def read_own(site: Site, view: CoinView, user_id: int | None) -> OwnAlerts:
    """The levels of a subscriber's active alerts on the view's market, and what fired in its time range.

    Nothing for a visitor who is not signed in, and in a comparison, which shows percentages.
    """
    if user_id is None or view.compared:
        return OwnAlerts([], [])
    with transaction(site.engine) as connection:
        market = view.market
        instrument_id = find_instrument(connection, market.base, market.exchange, market.quote).instrument_id
        levels = read_own_levels(connection, user_id, instrument_id)
        fired = read_own_alerts(connection, user_id, instrument_id, TimeRange(view.start, view.end))
    return OwnAlerts(
        levels=[
            {
                "value": level.value,
                "label": "Alert, next step" if level.is_step else f"Alert, {CROSSES[level.direction]}",
            }
            for level in levels
        ],
        markers=[
            {
                "time": alert.observed_at.timestamp(),
                "label": change_text(asdict(alert)),
                "direction": direction_of(alert),
            }
            for alert in reversed(fired)
        ],
    )
