-- Changes that satisfy a subscription's rule, before its cooldown is applied. A streak is a series of candidates
-- without a change in between that does not satisfy the rule; for kinds that do not rearm, every candidate starts a new
-- streak. Streak -1 continues from earlier runs.
--
-- A rule with a ladder fires again within a streak when the value is a step further than step_value: what a candidate that
-- fires sets as its last step; in streak -1, the last step of the earlier runs. step_only: can only fire as a step of a
-- ladder (those of crosses lie beyond the level), or not at all, if step_value is null in streak -1.
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
  ladder_percent double precision,
  rises boolean NOT NULL,
  step_only boolean NOT NULL,
  step_value double precision,
  PRIMARY KEY (subscription_id, streak, observed_at)
) ON COMMIT DELETE ROWS;
