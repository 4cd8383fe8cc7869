-- Mails that could go now and that no sender has.
SELECT count(*) AS due FROM outbox
WHERE status = 'queued' AND channel = 'email' AND next_attempt_at <= :now AND (leased_until IS NULL OR leased_until <= :now);
