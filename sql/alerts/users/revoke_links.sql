-- Revokes all links to a user's own page.
UPDATE users SET link_version = link_version + 1 WHERE id = :user_id;
