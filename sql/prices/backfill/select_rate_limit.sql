-- Whether calls for history have to wait: for a live fetch in progress, or for a rate limit of the exchange.
SELECT live_until, blocked_until, last_error FROM exchange_status WHERE exchange_id = :exchange_id;
