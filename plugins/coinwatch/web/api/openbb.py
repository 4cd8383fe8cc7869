"""The description of our data that OpenBB Workspace reads when coinwatch is added as a data source."""

from typing import Any

from fastapi import APIRouter

from coinwatch.web.schemas.errors import COMMON_RESPONSES

router = APIRouter(tags=["openbb"], responses=COMMON_RESPONSES)

CATEGORY = "Crypto"


@router.get("/widgets.json", summary="The widgets of OpenBB Workspace: latest prices, top movers and the chart")
def get_widgets() -> dict[str, Any]:
    """https://docs.openbb.co/workspace/developers/json-specs/widgets-json-reference describes the fields."""
    return {
        "coinwatch_prices": {
            "name": "Latest prices",
            "description": "The latest price of every coin on every exchange",
            "category": CATEGORY,
            "type": "table",
            "endpoint": "api/v1/prices",
            "gridData": {"w": 20, "h": 12},
            "data": {
                "table": {
                    "showAll": False,
                    "columnsDefs": [
                        _column("coin_name", "Coin", "text"),
                        _column("exchange_name", "Exchange", "text"),
                        _column("price", "Price", "number"),
                        _column("quote", "Currency", "text"),
                        _column("change_24h_percent", "24 h change (%)", "number"),
                        _column("volume_24h", "24 h volume (coins)", "number"),
                        _column("observed_at", "Observed at (UTC)", "text"),
                    ],
                }
            },
        },
        "coinwatch_gainers": _movers("Top gainers", "gainers"),
        "coinwatch_losers": _movers("Top losers", "losers"),
        "coinwatch_chart": {
            "name": "Price chart",
            "description": "Candles of any coin on any exchange; INDEX is the median of all exchanges",
            "category": CATEGORY,
            "type": "advanced_charting",
            "endpoint": "/udf",
            "gridData": {"w": 40, "h": 20},
            "data": {"defaultSymbol": "INDEX:BTC/USD", "updateFrequency": 60_000},
        },
    }


def _movers(name: str, key: str) -> dict[str, Any]:
    return {
        "name": name,
        "description": f"{name} of the last 24 hours",
        "category": CATEGORY,
        "type": "table",
        "endpoint": "api/v1/movers",
        "gridData": {"w": 20, "h": 9},
        "data": {
            "dataKey": key,
            "table": {
                "showAll": False,
                "columnsDefs": [
                    _column("coin_name", "Coin", "text"),
                    _column("price", "Price", "number"),
                    _column("change_percent", "24 h change (%)", "number"),
                ],
            },
        },
    }


def _column(field: str, header: str, kind: str) -> dict[str, str]:
    return {"field": field, "headerName": header, "cellDataType": kind}
