"""Which of the configured exchanges can be reached from this machine, and why the others cannot."""

import threading
import time
from dataclasses import dataclass

from coinwatch.errors import ConfigurationError, ExchangeError, RateLimited
from coinwatch.exchanges.models import Instrument
from coinwatch.exchanges.registry import open_exchange
from coinwatch.settings import Settings

PROBE_SECONDS = 8.0
CALL_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """``reachable``: the exchange can be used from here. ``message`` is a sentence for the operator."""

    code: str
    reachable: bool
    message: str


def probe_exchanges(settings: Settings, seconds: float = PROBE_SECONDS) -> list[ProbeResult]:
    """Request one price from every configured exchange at the same time, within ``seconds``; needs no database."""
    results: dict[str, ProbeResult] = {}
    # Daemon threads: one that hangs, for example in name resolution, must not keep the process alive.
    threads = [
        threading.Thread(target=_probe_into, args=(code, settings, results), daemon=True) for code in settings.exchanges
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    finished = dict(results)
    return [
        finished.get(code) or ProbeResult(code, False, f"{exchange.name}: no response within {seconds:g} s.")
        for code, exchange in settings.exchanges.items()
    ]


def _probe_into(code: str, settings: Settings, results: dict[str, ProbeResult]) -> None:
    try:
        results[code] = _probe(code, settings)
    except Exception as error:  # noqa: BLE001 - a probe reports whatever went wrong
        results[code] = ProbeResult(code, False, f"{settings.exchanges[code].name} failed: {type(error).__name__}.")


def _probe(code: str, settings: Settings) -> ProbeResult:
    exchange = settings.exchanges[code]
    with_short_timeout = exchange.model_copy(update={"timeout_seconds": min(exchange.timeout_seconds, CALL_SECONDS)})
    try:
        adapter = open_exchange(code, settings.model_copy(update={"exchanges": {code: with_short_timeout}}))
    except ConfigurationError as error:
        return ProbeResult(code, False, str(error))
    base, _, quote = exchange.instruments[0].partition("/")
    instrument = Instrument(code, base, quote, adapter.symbol_for(base, quote))
    started = time.monotonic()
    try:
        batch = adapter.fetch_quotes([instrument])
    except RateLimited as error:
        return ProbeResult(code, True, f"{exchange.name} is reachable, but {error.reason}.")
    except ExchangeError as error:
        return ProbeResult(code, False, f"{exchange.name}: {error.reason}.")
    finally:
        adapter.close()
    took = time.monotonic() - started
    if batch.quotes:
        return ProbeResult(code, True, f"{exchange.name} responded in {took:.1f} s.")
    reason = batch.rejected[0].reason.replace("_", " ") if batch.rejected else "no price"
    return ProbeResult(
        code, True, f"{exchange.name} responded in {took:.1f} s, but without {instrument.pair} ({reason})."
    )
