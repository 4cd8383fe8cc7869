-- Emails to a user that anyone can trigger by entering the address (confirmations and manage links), and whether the
-- address is suppressed.
SELECT count(*) FILTER (WHERE created_at > :last_hour) AS in_last_hour, count(*) AS in_last_day,
       (SELECT suppressed_at IS NOT NULL FROM users WHERE id = :user_id) AS is_suppressed
FROM outbox WHERE kind IN ('confirmation', 'manage') AND user_id = :user_id AND created_at > :last_day;
