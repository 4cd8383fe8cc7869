"""All fired alerts of a subscriber, with filters, as pages and as CSV."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from coinwatch.notifications.subscribers import ALERTS_PER_PAGE, AlertFilters, FiredAlert, get_subscriber, list_alerts
from coinwatch.web.dependencies import SiteDep
from coinwatch.web.formats.tables import Table
from coinwatch.web.services.account.page import conditions
from coinwatch.web.services.account.time_zones import zone_or_utc
from coinwatch.web.sessions import AccountDep

router = APIRouter(prefix="/account", include_in_schema=False)

AlertId = Annotated[int | None, Query(ge=1, le=2**63 - 1)]
Coin = Annotated[str, Query(max_length=60)]


@router.get("/history")
def show_history(
    site: SiteDep,
    request: Request,
    account: AccountDep,
    before: AlertId = None,
    alert: Annotated[str, Query(max_length=20)] = "",
    coin: Coin = "",
) -> Response:
    """A page of fired alerts, newest first; ``before`` is the id of the last one on the previous page."""
    found = get_subscriber(site.engine, account)
    alert_id = _alert_id(alert)
    filters = AlertFilters(before, coin=coin or None, subscription_id=alert_id)
    alerts = list_alerts(site.engine, account, filters, limit=ALERTS_PER_PAGE + 1)
    values = {
        "alerts": alerts[:ALERTS_PER_PAGE],
        "conditions": conditions(found),
        "subscriber": found,
        "coins": dict(sorted({own.base: own.coin_name for own in found.subscriptions}.items())),
        "coin": coin,
        "alert_id": alert_id,
        "zone": zone_or_utc(found.preferences.timezone),
        "before": before,
        "has_older": len(alerts) > ALERTS_PER_PAGE,
    }
    return site.render(request, "account/history.html", values)


@router.get("/history.csv")
def download_history(
    site: SiteDep, account: AccountDep, alert: Annotated[str, Query(max_length=20)] = "", coin: Coin = ""
) -> Response:
    """All fired alerts that match the filters, newest first, with times in UTC."""
    found = conditions(get_subscriber(site.engine, account))
    filters = AlertFilters(coin=coin or None, subscription_id=_alert_id(alert))
    alerts = list_alerts(site.engine, account, filters, limit=None)
    table = Table(COLUMNS, [(*_cells(fired), found.get(fired.subscription_id, "")) for fired in alerts])
    headers = {"Content-Disposition": 'attachment; filename="coinwatch-alerts.csv"'}
    return Response(table.to_csv(), media_type="text/csv; charset=utf-8", headers=headers)


COLUMNS = {
    "observed_at": datetime,
    "coin": str,
    "quote": str,
    "exchange": str,
    "metric": str,
    "value": float,
    "reference": float,
    "reference_at": datetime,
    "change_percent": float,
    "late": bool,
    "alert": int,
    "condition": str,
}


def _cells(fired: FiredAlert) -> tuple[object, ...]:
    return (
        fired.observed_at,
        fired.base,
        fired.quote,
        fired.exchange,
        fired.metric,
        fired.price,
        fired.reference,
        fired.reference_at,
        fired.change_percent,
        fired.late,
        fired.subscription_id,
    )


def _alert_id(text: str) -> int | None:
    """The id of an alert in a link; None for all alerts."""
    return min(int(text), 2**63 - 1) if text.isdecimal() and text.isascii() else None
