-- The changes of find_changes_from_average, for a batch longer than the window: one pass over the values in order of
-- time, in which the sums add each value that enters the window and subtract each that leaves it. See
-- find_changes_from_average for the integers and scan_changes_over_window for position.
INSERT INTO changes (instrument_id, metric, kind, window_seconds, position, total, observed_at, value,
                     reference, reference_at, change_percent)
WITH known AS (
  SELECT w.instrument_id, w.metric, before.observed_at, before.value, false AS pending
  FROM evaluation_watermarks w
  CROSS JOIN LATERAL (
    SELECT prices.observed_at, CASE w.metric WHEN 'price' THEN price ELSE volume_24h END AS value
    FROM prices
    WHERE prices.instrument_id = w.instrument_id AND prices.observed_at <= w.evaluated_to
      AND prices.observed_at >= :oldest AND prices.observed_at <= :newest
    OFFSET 0
  ) before
  UNION ALL
  SELECT instrument_id, metric, observed_at, value, true FROM pending_quotes
), timed AS (
  SELECT *, CAST(1e6 * date_part('epoch', observed_at) AS bigint) AS moment
  FROM known
  WHERE 64 * value < 9e18 AND (CAST(:instruments AS integer[]) IS NULL OR instrument_id = ANY (CAST(:instruments AS integer[])))
), referred AS (
  SELECT *, (CAST(sum(CAST(trunc(64 * value) AS bigint)) OVER before AS double precision)
             + CAST(sum(CAST(4611686018427387904 * (64 * value - trunc(64 * value)) AS bigint)) OVER before AS double precision)
               / 4611686018427387904) / nullif(64 * count(*) OVER before, 0) AS reference,
         first_value(observed_at) OVER before AS reference_at, row_number() OVER before AS row_number,
         lead(moment) OVER before IS NULL AS newest
  FROM timed
  WINDOW before AS (
    PARTITION BY instrument_id, metric ORDER BY moment RANGE BETWEEN 1000000 * CAST(:seconds AS bigint) PRECEDING AND 1 PRECEDING
  )
), compared AS (
  SELECT *, pending AND reference > 0 AS comparable, 100 * (value - reference) / nullif(reference, 0) AS change_percent
  FROM referred
), in_reach AS (
  SELECT instrument_id, metric, moment, observed_at, value, reference, reference_at, change_percent, comparable,
         row_number,
         count(*) FILTER (WHERE comparable IS NOT TRUE) OVER in_time AS incomparable,
         lag(row_number) OVER in_time = row_number - 1 AND lag(rises) OVER in_time = rises AS repeated
  FROM compared
  CROSS JOIN LATERAL (
    SELECT CASE WHEN comparable AND (1 + 1e-12) * abs(change_percent) >= :all_satisfied_from
                THEN change_percent > 0 END AS rises
  ) satisfies_all
  WHERE comparable IS NOT TRUE OR newest OR (1 + 1e-12) * abs(change_percent) >= :lowest
  WINDOW in_time AS (PARTITION BY instrument_id, metric ORDER BY moment ROWS UNBOUNDED PRECEDING)
), numbered AS (
  SELECT *, row_number - incomparable - count(*) FILTER (WHERE repeated) OVER in_time AS position
  FROM in_reach
  WINDOW in_time AS (PARTITION BY instrument_id, metric ORDER BY moment ROWS UNBOUNDED PRECEDING)
), kept AS (
  SELECT *, max(position) OVER (PARTITION BY instrument_id, metric) AS total FROM numbered WHERE repeated IS NOT TRUE
)
SELECT instrument_id, metric, :kind, :seconds, position, total, observed_at, value, reference, reference_at,
       change_percent
FROM kept
WHERE comparable AND (1 + 1e-12) * abs(change_percent) >= :lowest;
