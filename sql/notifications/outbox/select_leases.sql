-- The senders that have claimed emails, and until when.
SELECT lease, max(leased_until) AS leased_until FROM outbox
WHERE status = 'queued' AND channel = 'email' AND leased_until IS NOT NULL
GROUP BY lease;
