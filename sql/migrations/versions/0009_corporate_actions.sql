CREATE TABLE corporate_actions (
  instrument_id integer NOT NULL REFERENCES instruments,
  effective_at timestamptz NOT NULL,
  old_per_new double precision,
  applied_at timestamptz NOT NULL,
  CONSTRAINT corporate_actions_pkey PRIMARY KEY (instrument_id, effective_at)
);
COMMENT ON TABLE corporate_actions IS 'The configured corporate actions that have been applied to the stored prices, candles and rules.';
COMMENT ON COLUMN corporate_actions.old_per_new IS 'Redenomination: prices before effective_at were multiplied by this. Null: the ticker means another coin from then on.';
