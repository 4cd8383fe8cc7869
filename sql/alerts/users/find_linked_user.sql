-- The user that a link names, and whether the link was revoked.
SELECT id AS user_id, link_version <> :version AS revoked FROM users WHERE link_key = :key;
