"""Payloads of outbox rows, as notifications/ stores them."""

ALERT = {
    "alert_id": 1,
    "subscription_id": 7,
    "instrument_id": 1,
    "observed_at": "2026-03-01T12:01:00+00:00",
    "reference_at": "2026-03-01T12:00:00+00:00",
    "price": 105.0,
    "reference": 100.0,
    "change_percent": 5.0,
    "threshold": 5.0,
    "direction": "either",
    "kind": "change_since_last",
    "metric": "price",
    "window_seconds": 0,
    "late": False,
    "exchange": "kraken",
    "exchange_name": "Kraken",
    "base": "BTC",
    "quote": "USD",
    "coin_name": "Bitcoin",
}
