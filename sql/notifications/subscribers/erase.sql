-- The person, and with them every mail.
DELETE FROM users WHERE id = :user_id;
