"""Commands for subscriptions, subscribers, backtests, the outbox and other channels."""
