-- Deletes users; their subscriptions, alerts and outbox rows are deleted with them.
DELETE FROM users WHERE id = ANY (CAST(:user_ids AS bigint[]));
