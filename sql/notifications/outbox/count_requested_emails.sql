-- Emails to a user that anyone can trigger by entering the address (confirmations and manage links) since :since.
SELECT count(*) FROM outbox WHERE kind IN ('confirmation', 'manage') AND user_id = :user_id AND created_at > :since;
