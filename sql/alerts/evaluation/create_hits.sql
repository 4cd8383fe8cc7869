-- Moves that meet a subscription's condition, with what decides whether it fires. A stretch is a row of hits without a
-- false one between; a rule that is no standing condition starts a new stretch with every hit.
CREATE TEMPORARY TABLE IF NOT EXISTS hits (
  subscription_id bigint NOT NULL,
  stretch integer NOT NULL,
  turn integer NOT NULL,
  turns integer NOT NULL,
  observed_at timestamptz NOT NULL,
  value double precision NOT NULL,
  reference double precision NOT NULL,
  reference_at timestamptz NOT NULL,
  change_percent double precision NOT NULL,
  ready_at timestamptz NOT NULL,
  cooldown interval NOT NULL,
  repeat boolean NOT NULL,
  PRIMARY KEY (subscription_id, stretch, observed_at)
) ON COMMIT DELETE ROWS;
