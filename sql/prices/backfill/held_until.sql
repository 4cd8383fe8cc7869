-- Whether calls for history have to wait: for a live fetch under way, or for a pause the exchange asked for.
SELECT live_until, blocked_until, last_error FROM exchange_status WHERE exchange_id = :exchange_id;
