"""Redenominations and reused tickers, which move a price without moving the market. See docs/index.md.

A redenomination restates everything stored before it in the new unit. A reused ticker archives the history of the old
coin and starts a new instrument. Both are configured per coin and applied once, in one transaction with the rules.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

import structlog
from sqlalchemy import Connection, Engine

from coinwatch.database import fetch_rows, statement, transaction
from coinwatch.exchanges.models import Candle, Quote
from coinwatch.prices.candles.refresh import mark_history_stale
from coinwatch.prices.candles.resolutions import WIDTHS, Resolution
from coinwatch.prices.candles.storage import StoredCandle
from coinwatch.prices.catalog import INDEX
from coinwatch.prices.ingest.index_values import IndexPart
from coinwatch.settings import Settings

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class AppliedAction:
    """An action that has been applied to an instrument.

    ``old_per_new`` is the ratio of a redenomination. For a reused ticker it is None, and ``new_id`` is the instrument
    of the new coin.
    """

    instrument_id: int
    effective_at: datetime
    old_per_new: float | None
    new_id: int | None = None


class _Due(NamedTuple):
    instrument_id: int
    exchange: str


def has_corporate_actions(settings: Settings, now: datetime) -> bool:
    """Whether any configured action has taken effect."""
    return any(action.effective_at <= now for coin in settings.coins.values() for action in coin.corporate_actions)


def apply_to_prices(connection: Connection, settings: Settings, now: datetime) -> list[AppliedAction]:
    """Apply the configured actions that have taken effect and were not applied yet, oldest first.

    The caller holds ``Lock.EVALUATION`` and ``Lock.CANDLES``, and applies the returned actions to the rules in the same
    transaction.
    """
    applied: list[AppliedAction] = []
    due = [
        (action.effective_at, coin, action.exchange, action.old_per_new)
        for coin, configured in settings.coins.items()
        for action in configured.corporate_actions
        if action.effective_at <= now
    ]
    for effective_at, coin, exchange, ratio in sorted(due, key=lambda action: action[:2]):
        subject = {"coin": coin, "exchange": exchange, "effective_at": effective_at}
        rows = fetch_rows(connection, "prices/corporate_actions/select_due_instruments", subject, _Due)
        for row in rows:
            parameters: dict[str, object] = {
                **subject,
                "instrument_id": row.instrument_id,
                "old_per_new": ratio,
                "now": now,
            }
            if ratio is None:
                action = AppliedAction(row.instrument_id, effective_at, None, _archive(connection, parameters))
                parameters["instrument_id"] = action.new_id
            else:
                _restate(connection, {**parameters, "ratio": ratio})
                # Those of the index, and sums of volumes, which would differ in the last bits.
                mark_history_stale(connection, [row.instrument_id], effective_at)
                action = AppliedAction(row.instrument_id, effective_at, ratio)
            connection.execute(statement("prices/corporate_actions/insert_action"), parameters)
            applied.append(action)
            log.info("corporate action applied", coin=coin, exchange=row.exchange, old_per_new=ratio)
        if rows:
            _restate_index(connection, coin, [row.exchange for row in rows], ratio)
    return applied


class Restatement:
    """The actions that were applied, for data from before them that arrives later."""

    def __init__(self, engine: Engine) -> None:
        with transaction(engine) as connection:
            query = "prices/corporate_actions/select_actions"
            self._actions = fetch_rows(connection, query, {}, _Action)

    def quotes(self, instrument_ids: Iterable[tuple[Quote, int]]) -> list[Quote]:
        """The quotes in the current unit, without those of an earlier coin with the same ticker."""
        found = []
        for quote, instrument_id in instrument_ids:
            ratio = self._ratio(instrument_id, quote.observed_at, quote.observed_at)
            if ratio == 1:
                found.append(quote)
            elif ratio is not None:
                found.append(
                    replace(
                        quote,
                        price=quote.price * ratio,
                        volume_24h=None if quote.volume_24h is None else quote.volume_24h / ratio,
                        bid=None if quote.bid is None else quote.bid * ratio,
                        ask=None if quote.ask is None else quote.ask * ratio,
                    )
                )
        return found

    def candles(self, resolution: Resolution, candles: Sequence[StoredCandle]) -> list[StoredCandle]:
        """The candles in the current unit, without those with prices in both units or of an earlier coin."""
        if not self._actions:
            return list(candles)
        found = []
        for row in candles:
            opened_at = row.candle.opened_at
            ratio = self._ratio(row.instrument_id, opened_at, opened_at + WIDTHS[resolution])
            if ratio is not None:
                _, first, high, low, last, volume, trades = row.candle
                prices = (first * ratio, high * ratio, low * ratio, last * ratio)
                candle = Candle(opened_at, *prices, None if volume is None else volume / ratio, trades)
                found.append(row._replace(candle=candle))
        return found

    def _ratio(self, instrument_id: int, first: datetime, end: datetime) -> float | None:
        """The factor for prices in [first, end]; None if they cannot be restated."""
        ratio = 1.0
        for action in self._actions:
            if action.instrument_id == instrument_id and first < action.effective_at:
                if action.old_per_new is None or end > action.effective_at:
                    return None
                ratio *= action.old_per_new
        return ratio


class _Action(NamedTuple):
    instrument_id: int
    effective_at: datetime
    old_per_new: float | None


def _restate(connection: Connection, parameters: dict[str, object]) -> None:
    for name in (
        "prices/corporate_actions/delete_mixed_candles",
        "prices/corporate_actions/restate_prices",
        "prices/corporate_actions/restate_latest_quote",
        "prices/corporate_actions/restate_unconfirmed_quotes",
        "prices/corporate_actions/restate_candles",
    ):
        connection.execute(statement(name), parameters)


def _archive(connection: Connection, parameters: dict[str, object]) -> int:
    """Archive the history of an instrument; return the id of the new one."""
    archived = {**parameters, "archived": f"{parameters['coin']}.{parameters['effective_at']:%Y%m%d}"}
    connection.execute(statement("prices/corporate_actions/archive_coin"), archived)
    query = statement("prices/corporate_actions/archive_instrument")
    new_id = int(connection.execute(query, archived).scalar_one())
    for name in (
        "prices/corporate_actions/move_prices",
        "prices/corporate_actions/move_latest_quotes",
        "prices/corporate_actions/move_unconfirmed_quotes",
        "prices/corporate_actions/move_candles",
    ):
        connection.execute(statement(name), {**archived, "new_id": new_id})
    connection.execute(statement("prices/corporate_actions/delete_index_state"), archived)
    return new_id


def _restate_index(connection: Connection, coin: str, exchanges: Sequence[str], ratio: float | None) -> None:
    """Restate what the index is chained to; an action on some exchanges only makes them newcomers to the index."""
    for row in connection.execute(statement("prices/corporate_actions/select_index_parts"), {"coin": coin}).all():
        parts = [IndexPart.from_dict(part) for part in (row.price, row.volume)]
        if INDEX in exchanges and ratio is not None:
            factors = (ratio, 1 / ratio)
            parts = [part.scaled(factor) if part else None for part, factor in zip(parts, factors, strict=True)]
        else:
            parts = [part.without(exchanges) if part else None for part in parts]
        price, volume = (json.dumps(part.as_dict()) if part else None for part in parts)
        parameters = {"instrument_id": row.instrument_id, "price": price, "volume": volume}
        connection.execute(statement("prices/corporate_actions/update_index_parts"), parameters)
