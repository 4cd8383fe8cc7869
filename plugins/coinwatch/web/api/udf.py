"""TradingView's Universal Data Feed, which its charting library and OpenBB Workspace connect to without code."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from pydantic_core import to_json
from starlette.responses import PlainTextResponse, Response

from coinwatch.errors import InvalidRequest, NotFound
from coinwatch.web.dependencies import SiteDep
from coinwatch.web.error_handlers import status_of
from coinwatch.web.schemas.errors import COMMON_RESPONSES, TOO_MANY_REQUESTS, Responses
from coinwatch.web.services.choices import watched_choices
from coinwatch.web.services.udf import MAX_COUNTBACK, RESOLUTIONS, describe_symbol, read_bars, search_symbols

router = APIRouter(prefix="/udf", tags=["udf"], responses=COMMON_RESPONSES)

MAX_RESULTS = 100


class UdfError(BaseModel):
    """How the protocol reports errors."""

    s: str = Field("error", examples=["error"])
    errmsg: str = Field(examples=["Unknown symbol 'KRAKEN:BTX/USD'. Did you mean KRAKEN:BTC/USD?"])


NOT_A_SYMBOL: Responses = {404: {"model": UdfError, "description": "Unknown symbol"}}
INVALID: Responses = {422: {"model": UdfError, "description": "Unknown resolution, or a range with too many bars"}}
Symbol = Annotated[str, Query(max_length=90, description="A symbol.", examples=["INDEX:BTC/USD", "KRAKEN:BTCUSD"])]


@router.get("/config", summary="What the feed supports")
def get_config(site: SiteDep) -> dict[str, Any]:
    choices = watched_choices(site.engine)
    exchanges = [{"value": code.upper(), "name": name, "desc": name} for code, name in choices.exchanges.items()]
    return {
        "supported_resolutions": list(RESOLUTIONS),
        "supports_group_request": False,
        "supports_marks": False,
        "supports_search": True,
        "supports_timescale_marks": False,
        "supports_time": True,
        "exchanges": [
            {"value": "", "name": "All exchanges", "desc": ""},
            {"value": "INDEX", "name": "Index", "desc": "Median of all exchanges"},
            *exchanges,
        ],
        "symbols_types": [{"name": "Crypto", "value": "crypto"}],
    }


@router.get("/time", summary="The server's time in Unix seconds", response_class=PlainTextResponse)
def get_time(site: SiteDep) -> str:
    return str(int(site.clock().timestamp()))


@router.get("/search", summary="Symbols by pair or name of the coin")
def search(
    site: SiteDep,
    query: Annotated[str, Query(max_length=60, description="Part of a symbol or name.", examples=["bitcoin"])] = "",
    kind: Annotated[str, Query(alias="type", max_length=20, description="crypto, or empty for all.")] = "",
    exchange: Annotated[str, Query(max_length=60, description="Code of an exchange. Default: all.")] = "",
    limit: Annotated[int, Query(ge=1, le=MAX_RESULTS, description="Maximum number of symbols.")] = 30,
) -> list[dict[str, str]]:
    if kind not in {"", "crypto"}:
        return []
    return search_symbols(site.engine, query, exchange, limit)


@router.get("/symbols", summary="Information about one symbol", responses=NOT_A_SYMBOL)
def get_symbol(site: SiteDep, symbol: Symbol) -> Response:
    try:
        return _json(describe_symbol(site.engine, symbol, site.clock()))
    except NotFound as error:
        return _error(error)


@router.get("/history", summary="Bars of one symbol", responses=NOT_A_SYMBOL | INVALID | TOO_MANY_REQUESTS)
def get_history(
    site: SiteDep,
    symbol: Symbol,
    resolution: Annotated[
        str, Query(max_length=10, description=f"One of {', '.join(RESOLUTIONS)}.", examples=["60", "1D"])
    ],
    start: Annotated[int, Query(alias="from", description="Unix time of the first bar.", examples=[1764547200])],
    end: Annotated[int, Query(alias="to", description="Unix time of the end (exclusive).", examples=[1764633600])],
    countback: Annotated[
        int | None,
        Query(ge=1, le=MAX_COUNTBACK, description="Number of bars before the end; the start is then ignored."),
    ] = None,
) -> Response:
    try:
        with site.query_slots.acquire():
            bars = read_bars(site.engine, symbol, resolution, start, end, countback, site.clock())
    except (NotFound, InvalidRequest) as error:
        return _error(error)
    return _json(bars.as_dict())


def _json(body: object, status: int = 200) -> Response:
    return Response(to_json(body), status_code=status, media_type="application/json")


def _error(error: NotFound | InvalidRequest) -> Response:
    return _json({"s": "error", "errmsg": str(error)}, status_of(error))
