"""What there are prices of: exchanges, coins and instruments."""

from typing import Annotated, cast

from fastapi import APIRouter, Query, Request, Response

from coinwatch.web.dependencies import SiteDep
from coinwatch.web.formats.representations import AS_TABLE, OutputDep
from coinwatch.web.formats.tables import Table
from coinwatch.web.pagination import CursorParameter, decode_cursor, encode_cursor, next_page
from coinwatch.web.schemas.errors import COMMON_RESPONSES, NOT_FOUND
from coinwatch.web.schemas.parameters import CoinFilter, ExchangeFilter
from coinwatch.web.services.catalog import (
    ListedCoin,
    ListedExchange,
    ListedInstrument,
    list_coins,
    list_exchanges,
    list_instruments,
)

INSTRUMENTS_PER_PAGE = 500
MAX_INSTRUMENTS = 5000
CATALOG_SECONDS = 60  # it changes when an operator edits the configuration

router = APIRouter(prefix="/api/v1", tags=["catalog"], responses=COMMON_RESPONSES)


@router.get(
    "/exchanges",
    summary="Exchanges and the index",
    response_model=list[ListedExchange],
    responses=AS_TABLE,
)
def get_exchanges(site: SiteDep, output: OutputDep) -> Response:
    found = list_exchanges(site.engine)
    headers = site.cache_headers(CATALOG_SECONDS)
    return output.respond(found, lambda: Table.of(ListedExchange, found), filename="exchanges", headers=headers)


@router.get("/coins", summary="Watched coins", response_model=list[ListedCoin], responses=AS_TABLE)
def get_coins(site: SiteDep, output: OutputDep) -> Response:
    found = list_coins(site.engine)
    headers = site.cache_headers(CATALOG_SECONDS)
    return output.respond(found, lambda: Table.of(ListedCoin, found), filename="coins", headers=headers)


@router.get(
    "/instruments",
    summary="Instruments: pairs of a coin and a currency on an exchange, watched now or earlier",
    response_model=list[ListedInstrument],
    responses=NOT_FOUND | AS_TABLE,
)
def get_instruments(
    request: Request,
    site: SiteDep,
    output: OutputDep,
    coin: CoinFilter = None,
    exchange: ExchangeFilter = None,
    limit: Annotated[
        int, Query(ge=1, le=MAX_INSTRUMENTS, description="Maximum number of instruments per page.")
    ] = INSTRUMENTS_PER_PAGE,
    cursor: CursorParameter = None,
) -> Response:
    after = cast("list[str]", decode_cursor(cursor, str, str, str)) if cursor else None
    found = list_instruments(site.engine, limit=limit + 1, after=after, coin=coin, exchange=exchange)
    page, last = found[:limit], found[limit - 1] if len(found) > limit else None
    return output.respond(
        page,
        lambda: Table.of(ListedInstrument, page),
        filename="instruments",
        headers=site.cache_headers(CATALOG_SECONDS)
        | next_page(request, encode_cursor(last.exchange, last.base, last.quote) if last else None),
    )
