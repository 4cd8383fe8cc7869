-- The state of one exchange before it is called.
SELECT e.id, s.last_attempt_at, s.last_success_at, s.blocked_until, s.last_error
FROM exchanges e LEFT JOIN exchange_status s ON s.exchange_id = e.id
WHERE e.code = :exchange;
