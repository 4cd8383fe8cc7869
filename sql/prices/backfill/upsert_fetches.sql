-- Record the outcome of fetching ranges of one resolution.
INSERT INTO candle_fetches (instrument_id, resolution, started_at, ended_at, outcome, candles, requested_at)
SELECT instrument_id, CAST(:resolution AS candle_resolution), started_at, ended_at, :outcome, candles, :now
FROM unnest(CAST(:instrument_ids AS integer[]), CAST(:starts AS timestamptz[]), CAST(:ends AS timestamptz[]), CAST(:candles AS integer[]))
  AS given (instrument_id, started_at, ended_at, candles)
ON CONFLICT (instrument_id, resolution, started_at, ended_at) DO UPDATE
SET outcome = excluded.outcome, candles = excluded.candles, requested_at = excluded.requested_at;
