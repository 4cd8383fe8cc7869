-- Rules that fire at a new high or low of a period, and rules that fire again every further so many percent.

ALTER TABLE subscriptions
  ADD COLUMN ladder_percent double precision
    CONSTRAINT subscriptions_ladder_check CHECK (ladder_percent IS NULL OR ladder_percent > 0 AND ladder_percent < 100 AND kind IN ('crosses', 'change_over_window')),
  ADD COLUMN step_value double precision,
  ADD COLUMN step_rises boolean,
  ADD COLUMN step_at timestamptz,
  DROP CONSTRAINT subscriptions_kind_check,
  ADD CONSTRAINT subscriptions_kind_check
    CHECK (kind IN ('change_since_last', 'change_over_window', 'deviation_from_average', 'crosses', 'new_high', 'new_low')),
  DROP CONSTRAINT subscriptions_threshold_check,
  ADD CONSTRAINT subscriptions_threshold_check
    CHECK ((threshold > 0 OR threshold = 0 AND kind IN ('new_high', 'new_low')) AND threshold < 'Infinity'),
  DROP CONSTRAINT subscriptions_window_check,
  ADD CONSTRAINT subscriptions_window_check
    CHECK (CASE WHEN kind IN ('change_over_window', 'deviation_from_average') THEN window_seconds > 0
                WHEN kind IN ('new_high', 'new_low') THEN window_seconds IN (0, 86400, 604800, 2592000, 31449600)
                ELSE window_seconds = 0 END);
COMMENT ON COLUMN subscriptions.threshold IS
  'In percent; for crosses, a level in the unit of the metric; for new_high and new_low how far beyond the previous one, or 0.';
COMMENT ON COLUMN subscriptions.window_seconds IS '0 for the kinds without a window; for new_high and new_low, 0 is all time.';
COMMENT ON COLUMN subscriptions.ladder_percent IS 'Fires again every further so many percent, while the condition holds; null for a rule without a ladder.';
COMMENT ON COLUMN subscriptions.step_value IS 'Ladder: the last step; null unless the rule has fired and its condition has held since.';
COMMENT ON COLUMN subscriptions.step_rises IS 'Ladder: whether its steps go up.';
COMMENT ON COLUMN subscriptions.step_at IS 'Ladder: when it fired last.';

ALTER TABLE alerts ADD COLUMN steps integer;
COMMENT ON COLUMN alerts.steps IS 'Ladder: how many steps further the value was than at the alert before; null for other alerts.';

-- The same rule with and without a ladder are two.
DROP INDEX subscriptions_rule_unique;
CREATE UNIQUE INDEX subscriptions_rule_unique
  ON subscriptions (user_id, instrument_id, kind, metric, direction, threshold, window_seconds, coalesce(ladder_percent, 0))
  WHERE status IN ('pending', 'active', 'paused');

-- Two more kinds, in a bit that was free: the keys of the other kinds, which indexes contain, stay the same.
CREATE OR REPLACE FUNCTION lookup_key(instrument_id integer, metric text, kind text, window_seconds integer) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (CAST(instrument_id AS bigint) << 32) + window_seconds
  + CASE metric WHEN 'price' THEN 0 WHEN 'volume_24h' THEN 1 END * (1 << 30)
  + CASE kind WHEN 'change_since_last' THEN 0 WHEN 'change_over_window' THEN 1 WHEN 'deviation_from_average' THEN 2
              WHEN 'crosses' THEN 3 WHEN 'new_high' THEN CAST(8 AS bigint) WHEN 'new_low' THEN CAST(9 AS bigint) END * (1 << 28);

-- How many steps of a ladder lie between its last step and a value: 0 if not even one, null without a last step. A value
-- of exactly the next step counts; 1e-200 stands for a volume of zero.
CREATE FUNCTION count_steps(step_value double precision, value double precision, rises boolean, ladder_percent double precision)
RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN step_value > 0 AND ladder_percent > 0 THEN
  greatest(0, CAST(floor(ln(greatest(value, 1e-200) / step_value)
                         / ln(1 + CASE WHEN rises THEN ladder_percent ELSE -ladder_percent END / 100) + 1e-9) AS integer)) END;

-- The step of a ladder that is so many steps after another.
CREATE FUNCTION step_after(step_value double precision, steps integer, rises boolean, ladder_percent double precision)
RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN step_value * power(1 + CASE WHEN rises THEN ladder_percent ELSE -ladder_percent END / 100, CAST(steps AS double precision));

-- Which kinds and windows have ladders; and from a value to the ladders whose next step it reaches.
CREATE INDEX subscriptions_ladders ON subscriptions (kind, window_seconds) WHERE status = 'active' AND ladder_percent IS NOT NULL;
CREATE INDEX subscriptions_next_step
  ON subscriptions (lookup_key(instrument_id, metric, kind, window_seconds), step_rises, step_after(step_value, 1, step_rises, ladder_percent))
  WHERE status = 'active' AND step_value IS NOT NULL;

CREATE TABLE period_extremes (
  instrument_id integer NOT NULL REFERENCES instruments,
  metric text NOT NULL CONSTRAINT period_extremes_metric_check CHECK (metric IN ('price', 'volume_24h')),
  window_seconds integer NOT NULL,
  hour timestamptz NOT NULL,
  high double precision NOT NULL,
  high_at timestamptz NOT NULL,
  low double precision NOT NULL,
  low_at timestamptz NOT NULL,
  CONSTRAINT period_extremes_pkey PRIMARY KEY (instrument_id, metric, window_seconds, hour)
) WITH (fillfactor = 50);
COMMENT ON TABLE period_extremes IS
  'The highest and lowest value of the period before the next quote in an hour, for the periods in use of new_high and new_low. '
  'Computed from candles with the first quote of the hour, then kept up to date; a missing row is computed again.';
COMMENT ON COLUMN period_extremes.high IS 'Divided by the divisor of its time, see prices.divisors.';
COMMENT ON COLUMN period_extremes.high_at IS 'When it was observed; if only candles are known, when its candle opened.';
