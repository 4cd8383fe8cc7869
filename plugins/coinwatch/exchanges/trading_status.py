"""Whether an exchange trades an instrument at present, in the same terms for every exchange.

While it doesn't, the exchange still returns the last trade's price, which must not be recorded as the current one.
"""

from coinwatch.exchanges.models import Instrument, RejectedQuote, RejectionReason, TradingStatus

# The exchanges' own terms, in lower case, for instruments whose orders are executed: all of them, or only limit orders.
TRADING_TERMS = frozenset(
    {"trading", "online", "enabled", "live", "active", "open", "normal", "limit_only", "reduce_only"}
)
# Orders are accepted, but not executed yet.
AUCTION_TERMS = frozenset({"auction", "auction_mode", "auction_match", "post_only", "pre_open", "preopen"})
DELISTED_TERMS = frozenset({"delisted", "closed", "expired"})


def trading_status(term: str) -> TradingStatus | None:
    """The status for an exchange's own term (``cancel_only``, ``BREAK``); None if the instrument is traded.

    A term we don't know counts as halted.
    """
    term = term.strip().lower()
    if term in TRADING_TERMS:
        return None
    if term in AUCTION_TERMS:
        return TradingStatus.AUCTION
    return TradingStatus.DELISTED if term in DELISTED_TERMS else TradingStatus.HALTED


def reject_not_trading(instrument: Instrument, status: TradingStatus, term: str) -> RejectedQuote:
    """The rejection of an instrument that isn't traded; ``term`` is the exchange's own."""
    return RejectedQuote(instrument.exchange, instrument.symbol, RejectionReason.NOT_TRADING, term[:40], status)
