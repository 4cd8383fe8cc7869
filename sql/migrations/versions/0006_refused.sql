-- When the address takes mail again, only what was not paused by its person goes on.
ALTER TABLE subscriptions ADD COLUMN paused_by_suppression boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN subscriptions.paused_by_suppression IS 'Paused because the mail server paused_by_suppression the address; false: paused by the person.';
