-- In the order in which senders hold them.
SELECT id FROM outbox WHERE user_id = :user_id ORDER BY id FOR UPDATE;
