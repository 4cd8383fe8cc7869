-- Mails that anybody may have sent to one address by typing it (confirmations, and links to the person's own page), since a moment.
SELECT count(*) FROM outbox
WHERE kind IN ('confirmation', 'manage') AND user_id = (SELECT id FROM users WHERE lower(email) = lower(:recipient)) AND created_at > :since;
