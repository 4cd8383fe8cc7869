-- What moves_from_average finds, for a batch longer than the window: in one pass over the values in order of time, in which
-- sums of integers take up what comes into the window and give back what leaves it. See moves_from_average for the parts,
-- sweep_over_window for the counting.
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
  WHERE 64 * value < 9e18 AND (CAST(:instruments AS integer[]) IS NULL OR instrument_id = ANY (CAST(:instruments AS integer[])))
), referred AS (
  SELECT *, (CAST(sum(CAST(trunc(64 * value) AS bigint)) OVER before AS double precision)
             + CAST(sum(CAST(4611686018427387904 * (64 * value - trunc(64 * value)) AS bigint)) OVER before AS double precision)
               / 4611686018427387904) / nullif(64 * count(*) OVER before, 0) AS reference,
         first_value(observed_at) OVER before AS reference_at, row_number() OVER before AS place,
         lead(moment) OVER before IS NULL AS newest
  FROM timed
  WINDOW before AS (
    PARTITION BY instrument_id, metric ORDER BY moment RANGE BETWEEN 1000000 * CAST(:seconds AS bigint) PRECEDING AND 1 PRECEDING
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
