-- Links in emails name a user by a random key, because row ids restart after a reset of the database.
ALTER TABLE users
  ADD COLUMN link_key uuid NOT NULL DEFAULT gen_random_uuid(),
  ADD COLUMN link_version integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN users.link_key IS 'Names the user in the links in emails; as secret as the address.';
COMMENT ON COLUMN users.link_version IS 'Raised by signing out everywhere: older links to the user''s own page stop working.';
CREATE UNIQUE INDEX users_link_key_unique ON users (link_key);
