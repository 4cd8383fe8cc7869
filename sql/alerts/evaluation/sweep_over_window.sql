-- What moves_over_window finds, for a batch longer than the look-back: in one pass over the values in order of time, instead
-- of a look-up for each. Values up to the watermark may be references, too; first, for what is in order is sorted at once.
-- Moments are microseconds, which Postgres compares faster than it subtracts intervals. turn counts what could be compared:
-- moves that are left out here take part in place, and what could not be compared is subtracted again. Left out and not
-- counted is what follows a move that meets every rule (:held_from) and meets them likewise: there is nothing more to tell.
INSERT INTO moves (instrument_id, metric, kind, window_seconds, turn, turns, observed_at, value, reference, reference_at, change_percent)
WITH known AS (
  SELECT m.instrument_id, m.metric, before.observed_at, before.value, false AS judged
  FROM evaluation_watermarks m
  CROSS JOIN LATERAL (
    SELECT prices.observed_at, CASE m.metric WHEN 'price' THEN price ELSE volume_24h END AS value
    FROM prices
    WHERE prices.instrument_id = m.instrument_id AND prices.observed_at <= m.evaluated_to
      AND prices.observed_at >= :oldest AND prices.observed_at <= :newest
    OFFSET 0
  ) before
  UNION ALL
  SELECT instrument_id, metric, observed_at, value, true FROM judged_quotes
), timed AS (
  SELECT *, CAST(1e6 * date_part('epoch', observed_at) AS bigint) AS moment
  FROM known
  WHERE value IS NOT NULL AND (CAST(:instruments AS integer[]) IS NULL OR instrument_id = ANY (CAST(:instruments AS integer[])))
), referred AS (
  SELECT *, last_value(value) OVER back AS reference, last_value(observed_at) OVER back AS reference_at,
         row_number() OVER back AS place, lead(moment) OVER back IS NULL AS newest
  FROM timed
  WINDOW back AS (
    PARTITION BY instrument_id, metric ORDER BY moment
    RANGE BETWEEN CAST(1e6 * date_part('epoch', CAST(:window AS interval) + CAST(:slack AS interval)) AS bigint) PRECEDING
          AND 1000000 * CAST(:seconds AS bigint) PRECEDING
  )
), compared AS (
  SELECT *, judged AND reference > 0 AS told, 100 * (value - reference) / nullif(reference, 0) AS change_percent
  FROM referred
), in_reach AS (
  SELECT instrument_id, metric, moment, observed_at, value, reference, reference_at, change_percent, told, place,
         count(*) FILTER (WHERE told IS NOT TRUE) OVER in_time AS untold,
         lag(place) OVER in_time = place - 1 AND lag(held) OVER in_time = held AS still_held
  FROM compared
  CROSS JOIN LATERAL (
    SELECT CASE WHEN told AND (1 + 1e-12) * abs(change_percent) >= :held_from THEN change_percent > 0 END AS held
  ) for_all
  WHERE told IS NOT TRUE OR newest OR (1 + 1e-12) * abs(change_percent) >= :lowest
  WINDOW in_time AS (PARTITION BY instrument_id, metric ORDER BY moment ROWS UNBOUNDED PRECEDING)
), counted AS (
  SELECT *, place - untold - count(*) FILTER (WHERE still_held) OVER in_time AS turn
  FROM in_reach
  WINDOW in_time AS (PARTITION BY instrument_id, metric ORDER BY moment ROWS UNBOUNDED PRECEDING)
), kept AS (
  SELECT *, max(turn) OVER (PARTITION BY instrument_id, metric) AS turns FROM counted WHERE still_held IS NOT TRUE
)
SELECT instrument_id, metric, :kind, :seconds, turn, turns, observed_at, value, reference, reference_at, change_percent
FROM kept
WHERE told AND (1 + 1e-12) * abs(change_percent) >= :lowest;
