-- Hold all of a person's mails at once, or say that some sender holds one.
SELECT count(*) = (SELECT count(*) FROM outbox WHERE user_id = :user_id) AS all_held
FROM (SELECT id FROM outbox WHERE user_id = :user_id FOR UPDATE SKIP LOCKED) held;
