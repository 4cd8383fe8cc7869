-- Emails that count towards the daily limit: sent since :since (up to :limit are counted), or claimed by a sender.
SELECT (SELECT count(*) FROM (
         SELECT FROM outbox WHERE status = 'sent' AND channel = 'email' AND sent_at > :since LIMIT CAST(:limit AS bigint)) sent)
     + (SELECT count(*) FROM outbox WHERE status = 'queued' AND channel = 'email' AND leased_until > :now) AS counted;
