-- When the address takes mail again, only what was not paused by its person goes on.
ALTER TABLE subscriptions ADD COLUMN refused boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN subscriptions.refused IS 'Paused because the mail server refused the address; false: paused by the person.';
