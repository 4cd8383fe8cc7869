-- Mark everything that depends on the stored candles of these instruments before :until as stale: a time range per instrument,
-- resolution and UTC day, from the first candle to the last.
INSERT INTO stale_candles (instrument_id, changed, first_at, last_at)
SELECT instrument_id, resolution, greatest(day, first_at), least(day + interval '1 day' - interval '1 minute', last_at)
FROM unnest(CAST(:instrument_ids AS integer[])) AS given (instrument_id)
CROSS JOIN unnest(enum_range(CAST(NULL AS candle_resolution))) AS stored (resolution)
CROSS JOIN LATERAL (
  SELECT opened_at AS first_at FROM candles c
  WHERE c.instrument_id = given.instrument_id AND c.resolution = stored.resolution
  ORDER BY opened_at LIMIT 1
) first
CROSS JOIN LATERAL (
  SELECT opened_at AS last_at FROM candles c
  WHERE c.instrument_id = given.instrument_id AND c.resolution = stored.resolution AND opened_at < :until
  ORDER BY opened_at DESC LIMIT 1
) last
CROSS JOIN LATERAL generate_series(date_bin('1 day', first_at, '2000-01-01 00:00+00'), last_at, interval '1 day') AS day
ORDER BY day, instrument_id;
