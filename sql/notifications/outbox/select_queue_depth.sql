-- What waits in the outbox, and since when.
SELECT count(*) AS queued, min(created_at) AS oldest_at FROM outbox WHERE status = 'queued';
