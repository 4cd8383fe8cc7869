-- Changes that satisfy a subscription's rule, before its cooldown is applied. A streak is a series of candidates
-- without a change in between that does not satisfy the rule; for kinds that do not rearm, every candidate starts a new
-- streak.
CREATE TEMPORARY TABLE IF NOT EXISTS candidates (
  subscription_id bigint NOT NULL,
  streak integer NOT NULL,
  position integer NOT NULL,
  total integer NOT NULL,
  observed_at timestamptz NOT NULL,
  value double precision NOT NULL,
  reference double precision NOT NULL,
  reference_at timestamptz NOT NULL,
  change_percent double precision NOT NULL,
  ready_at timestamptz NOT NULL,
  cooldown interval NOT NULL,
  repeat boolean NOT NULL,
  PRIMARY KEY (subscription_id, streak, observed_at)
) ON COMMIT DELETE ROWS;
