-- Insert index values and remember what each was computed from. If another worker has stored a newer value than the one it
-- was chained to (:previous_at), nothing is inserted: the next run computes it again.
WITH given AS (
  SELECT * FROM unnest(
    CAST(:instrument_ids AS integer[]), CAST(:observed_at AS timestamptz[]), CAST(:previous_at AS timestamptz[]),
    CAST(:prices AS double precision[]), CAST(:price_divisors AS double precision[]),
    CAST(:volumes AS double precision[]), CAST(:volume_divisors AS double precision[]),
    CAST(:price_parts AS text[]), CAST(:volume_parts AS text[]), CAST(:previous_divisors AS double precision[])
  ) AS given (instrument_id, observed_at, previous_at, price, price_divisor, volume_24h, volume_divisor, price_part, volume_part,
              previous_divisor)
), updated AS (
  UPDATE index_state
  SET observed_at = given.observed_at, price = CAST(price_part AS jsonb),
      volume = coalesce(CAST(volume_part AS jsonb), index_state.volume)
  FROM given
  WHERE index_state.instrument_id = given.instrument_id AND index_state.observed_at = given.previous_at
  RETURNING index_state.instrument_id
), added AS (
  INSERT INTO index_state (instrument_id, observed_at, price, volume)
  SELECT instrument_id, observed_at, CAST(price_part AS jsonb), CAST(volume_part AS jsonb)
  FROM given WHERE previous_at IS NULL
  ON CONFLICT (instrument_id) DO NOTHING
  RETURNING instrument_id
), inserted AS (
  INSERT INTO prices (instrument_id, observed_at, price, volume_24h, divisors, received_at)
  SELECT instrument_id, observed_at, price, volume_24h,
         CASE WHEN price_divisor <> 1 OR volume_divisor <> 1 THEN ARRAY[price_divisor, volume_divisor] END, :as_of
  FROM given WHERE instrument_id IN (SELECT instrument_id FROM updated UNION ALL SELECT instrument_id FROM added)
  ORDER BY instrument_id
  ON CONFLICT (instrument_id, observed_at) DO NOTHING
  RETURNING instrument_id, observed_at, price, volume_24h, divisors, received_at
), changed AS (
  INSERT INTO index_divisors (instrument_id, started_at, price_divisor)
  SELECT inserted.instrument_id, inserted.observed_at, given.price_divisor
  FROM inserted JOIN given ON given.instrument_id = inserted.instrument_id
  WHERE given.price_divisor <> given.previous_divisor
), stale AS (
  INSERT INTO stale_candles (instrument_id, first_at, last_at)
  SELECT instrument_id, observed_at, observed_at FROM inserted
), latest AS (
  INSERT INTO latest_quotes (instrument_id, observed_at, price, volume_24h, divisors, received_at)
  SELECT * FROM inserted ORDER BY instrument_id
  ON CONFLICT (instrument_id) DO UPDATE
  SET observed_at = excluded.observed_at, price = excluded.price, volume_24h = excluded.volume_24h,
      divisors = excluded.divisors, bid = NULL, ask = NULL, received_at = excluded.received_at
  WHERE excluded.observed_at > latest_quotes.observed_at
)
SELECT count(*) FROM inserted;
