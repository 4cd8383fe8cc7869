"""Gaps: when prices are missing, and why."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime, BaseModel, Field

from coinwatch.database import transaction
from coinwatch.errors import InvalidRequest
from coinwatch.prices.backfill.gaps import InstrumentGap, instrument_gaps
from coinwatch.prices.catalog import find_instrument
from coinwatch.time_range import DAY, validate_range, validate_timestamp
from coinwatch.web.dependencies import SiteDep
from coinwatch.web.formats.representations import AS_TABLE, OutputDep
from coinwatch.web.formats.tables import Table
from coinwatch.web.schemas.errors import COMMON_RESPONSES, NOT_FOUND
from coinwatch.web.schemas.parameters import Coin, Exchange, Quote

router = APIRouter(prefix="/api/v1", tags=["history"], responses=COMMON_RESPONSES)

LONGEST_RANGE = 366 * DAY
DEFAULT_RANGE = 7 * DAY


class GapsResponse(BaseModel):
    """The gaps of one instrument, oldest first, cut at the ends of the requested time range."""

    exchange: str
    base: str
    quote: str
    gaps: list[InstrumentGap] = Field(
        description="Times without prices. status is open while the exchange may still fill the gap, or else "
        "unavailable, and reason says why."
    )


@router.get(
    "/gaps/{coin}",
    summary="When prices of one coin are missing, and why",
    response_model=GapsResponse,
    responses={**NOT_FOUND, **AS_TABLE},
)
def list_gaps(
    site: SiteDep,
    output: OutputDep,
    coin: Coin,
    exchange: Exchange = None,
    quote: Quote = None,
    start: Annotated[
        AwareDatetime | None,
        Query(description="Start of the time range, up to 366 days before its end. Default: 7 days before."),
    ] = None,
    end: Annotated[AwareDatetime | None, Query(description="End of the time range (exclusive). Default: now.")] = None,
) -> Response:
    until: datetime = end or site.clock()
    validate_timestamp("end", until)
    since: datetime = start or until - DEFAULT_RANGE
    validate_range(since, until)
    if until - since > LONGEST_RANGE:
        days = (until - since) / timedelta(days=1)
        raise InvalidRequest("start", f"The time range has {days:,.0f} days; the maximum is {LONGEST_RANGE.days}.")
    with transaction(site.engine) as connection:
        found = find_instrument(connection, coin, exchange, quote)
        gaps = instrument_gaps(connection, found.instrument_id, since, until)
    names = {"exchange": found.exchange, "base": found.base, "quote": found.quote}
    return output.respond(
        GapsResponse(**names, gaps=gaps),
        lambda: Table.of(InstrumentGap, gaps, **names),
        filename=f"gaps {found.exchange} {found.base} {found.quote}",
    )
