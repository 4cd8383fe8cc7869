-- Health of every exchange.
SELECT exchange AS code, name, enabled, last_success_at, failures, blocked_until, last_error
FROM exchange_health
ORDER BY exchange;
