-- The changes of find_changes_over_window and find_changes_from_average (:average), for a batch longer than the window: one
-- pass over the values in order of time instead of an index scan for each. References are in the frame from :frame_start
-- to :frame_end microseconds before the value: the last one of them, or their mean, whose sums add each value that enters
-- the frame and subtract each that leaves it (see find_changes_from_average for the integers). Values up to the watermark
-- serve as references; they come first, because rows already in order are sorted fastest. Moments are microseconds, which
-- Postgres compares faster than it subtracts intervals. Values are divided by their divisors (see find_changes_since_last),
-- which only pending values keep. Where the frame of find_changes_over_window is empty, its one-minute candle is looked up.
--
-- position counts the values that have a reference: changes below :lowest are left out but counted, values without a
-- reference are subtracted. Left out and not counted are changes that repeat the one before: both satisfy every rule
-- (:all_satisfied_from) in the same direction, so the second one cannot fire.
INSERT INTO changes (instrument_id, metric, kind, window_seconds, position, total, observed_at, value,
                     reference, reference_at, change_percent)
WITH known AS (
  SELECT w.instrument_id, w.metric, before.observed_at, before.value, NULL AS divisor
  FROM evaluation_watermarks w
  CROSS JOIN LATERAL (
    SELECT prices.observed_at,
           CASE w.metric WHEN 'price' THEN price / coalesce(divisors[1], 1) ELSE volume_24h / coalesce(divisors[2], 1) END AS value
    FROM prices
    WHERE prices.instrument_id = w.instrument_id AND prices.observed_at <= w.evaluated_to
      AND prices.observed_at >= :oldest AND prices.observed_at <= :newest
    OFFSET 0
  ) before
  UNION ALL
  SELECT instrument_id, metric, observed_at, value / divisor, divisor FROM pending_quotes
), timed AS (
  SELECT *, CAST(1e6 * date_part('epoch', observed_at) AS bigint) AS moment,
         CASE WHEN CAST(:average AS boolean) THEN 64 * value END AS units
  FROM known
  WHERE value IS NOT NULL AND (64 * value < 9e18 OR NOT CAST(:average AS boolean))
    AND (CAST(:instruments AS integer[]) IS NULL OR instrument_id = ANY (CAST(:instruments AS integer[])))
), referred AS (
  SELECT *,
         CASE WHEN CAST(:average AS boolean) THEN
           (CAST(sum(CAST(trunc(units) AS bigint)) OVER frame AS double precision)
            + CAST(sum(CAST(4611686018427387904 * (units - trunc(units)) AS bigint)) OVER frame AS double precision)
              / 4611686018427387904) / nullif(64 * count(*) OVER frame, 0)
         ELSE last_value(value) OVER frame END AS reference,
         CASE WHEN CAST(:average AS boolean) THEN first_value(observed_at) OVER frame
         ELSE last_value(observed_at) OVER frame END AS reference_at,
         row_number() OVER frame AS row_number, lead(moment) OVER frame IS NULL AS newest
  FROM timed
  WINDOW frame AS (
    PARTITION BY instrument_id, metric ORDER BY moment
    RANGE BETWEEN CAST(:frame_start AS bigint) PRECEDING AND CAST(:frame_end AS bigint) PRECEDING
  )
), found AS (
  SELECT *, CASE WHEN reference IS NULL AND divisor IS NOT NULL AND metric = 'price' AND NOT CAST(:average AS boolean) THEN (
    SELECT ARRAY[close / coalesce((SELECT price_divisor FROM index_divisors d
                                   WHERE d.instrument_id = referred.instrument_id
                                     AND d.started_at < opened_at + interval '1 minute'
                                   ORDER BY d.started_at DESC LIMIT 1), 1),
                 date_part('epoch', opened_at + interval '1 minute')]
    FROM candles
    WHERE candles.instrument_id = referred.instrument_id AND resolution = '1m'
      AND opened_at <= observed_at - make_interval(secs => CAST(:frame_end AS bigint) / 1e6) - interval '1 minute'
      AND opened_at >= observed_at - make_interval(secs => CAST(:frame_start AS bigint) / 1e6)
    ORDER BY opened_at DESC LIMIT 1
  ) END AS minute
  FROM referred
), compared AS (
  SELECT instrument_id, metric, moment, observed_at, value, divisor, row_number, newest, reference, reference_at,
         divisor IS NOT NULL AND reference > 0 AS comparable, 100 * (value - reference) / nullif(reference, 0) AS change_percent
  FROM (
    SELECT instrument_id, metric, moment, observed_at, value, divisor, row_number, newest,
           coalesce(reference, minute[1]) AS reference, coalesce(reference_at, to_timestamp(minute[2])) AS reference_at
    FROM found
  ) stated
), in_reach AS (
  SELECT instrument_id, metric, moment, observed_at, value, divisor, reference, reference_at, change_percent, comparable,
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
SELECT instrument_id, metric, :kind, :seconds, position, total, observed_at, value * divisor, reference * divisor,
       reference_at, change_percent
FROM kept
WHERE comparable AND (1 + 1e-12) * abs(change_percent) >= :lowest;
