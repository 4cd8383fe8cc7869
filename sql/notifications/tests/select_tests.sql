-- The newest test notification of a user on each channel.
SELECT DISTINCT ON (channel) channel, status, created_at, sent_at, last_error
FROM outbox WHERE user_id = :user_id AND kind = 'test' ORDER BY channel, created_at DESC;
