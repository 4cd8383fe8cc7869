-- What new links name a user by.
SELECT link_key AS key, link_version AS version FROM users WHERE id = :user_id;
