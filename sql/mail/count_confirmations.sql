-- Confirmation mails to one address since a moment.
SELECT count(*) FROM outbox WHERE kind = 'confirmation' AND recipient = :recipient AND created_at > :since;
