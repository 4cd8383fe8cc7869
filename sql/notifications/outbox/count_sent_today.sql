-- What counts against the daily limit: mails sent since a moment and mails that a sender has now; no further than :most.
SELECT (SELECT count(*) FROM (
         SELECT FROM outbox WHERE status = 'sent' AND channel = 'email' AND sent_at > :since LIMIT CAST(:most AS bigint)) sent)
     + (SELECT count(*) FROM outbox WHERE status = 'queued' AND channel = 'email' AND leased_until > :now) AS counted;
