-- What moves_from_average finds, for a batch longer than the window: in one pass over the values in order of time, in which
-- sums of integers take up what comes into the window and give back what leaves it. See moves_from_average for the parts,
-- sweep_over_window for the counting.
INSERT INTO moves (instrument_id, metric, kind, window_seconds, turn, turns, observed_at, value, reference, reference_at, change_percent)
WITH known AS (
  SELECT m.instrument_id, m.metric, before.observed_at, before.value, false AS judged,
         CAST(1e6 * date_part('epoch', before.observed_at) AS bigint) AS moment,
         least(CASE m.metric WHEN 'price' THEN 1048576 * before.value ELSE before.value END, 9e18) AS units
  FROM match_watermarks m
  CROSS JOIN LATERAL (
    SELECT prices.observed_at, CASE m.metric WHEN 'price' THEN price ELSE volume_24h END AS value
    FROM prices
    WHERE prices.instrument_id = m.instrument_id AND prices.observed_at <= m.judged_to
      AND prices.observed_at >= :oldest AND prices.observed_at <= :newest
      AND (m.metric = 'price' OR volume_24h IS NOT NULL)
    OFFSET 0
  ) before
  WHERE CAST(:instruments AS integer[]) IS NULL OR m.instrument_id = ANY (CAST(:instruments AS integer[]))
  UNION ALL
  SELECT instrument_id, metric, observed_at, value, true, CAST(1e6 * date_part('epoch', observed_at) AS bigint),
         least(CASE metric WHEN 'price' THEN 1048576 * value ELSE value END, 9e18)
  FROM judged_quotes
  WHERE value IS NOT NULL
    AND (CAST(:instruments AS integer[]) IS NULL OR instrument_id = ANY (CAST(:instruments AS integer[])))
), summed AS (
  SELECT *, CAST(sum(CAST(trunc(units) AS bigint)) OVER before AS double precision) AS whole,
         CAST(sum(CAST(4611686018427387904 * (units - trunc(units)) AS bigint)) OVER before AS double precision) AS part,
         count(*) OVER before AS number, first_value(observed_at) OVER before AS reference_at,
         row_number() OVER before AS place, lead(moment) OVER before IS NULL AS newest
  FROM known
  WINDOW before AS (
    PARTITION BY instrument_id, metric ORDER BY moment RANGE BETWEEN 1000000 * CAST(:seconds AS bigint) PRECEDING AND 1 PRECEDING
  )
), compared AS (
  SELECT m.*, mean.reference, judged AND reference > 0 AS told, 100 * (value - reference) / nullif(reference, 0) AS change_percent
  FROM summed m
  CROSS JOIN LATERAL (
    SELECT (whole + part / 4611686018427387904) / nullif(number, 0) / CASE metric WHEN 'price' THEN 1048576 ELSE 1 END AS reference
  ) mean
), counted AS (
  SELECT *, place - count(*) FILTER (WHERE told IS NOT TRUE) OVER so_far AS turn,
         max(place) OVER everything - count(*) FILTER (WHERE told IS NOT TRUE) OVER everything AS turns
  FROM compared
  WHERE told IS NOT TRUE OR newest OR (1 + 1e-12) * abs(change_percent) >= :lowest
  WINDOW so_far AS (PARTITION BY instrument_id, metric ORDER BY place),
         everything AS (PARTITION BY instrument_id, metric)
)
SELECT instrument_id, metric, :kind, :seconds, turn, turns, observed_at, value, reference, reference_at, change_percent
FROM counted
WHERE told AND (1 + 1e-12) * abs(change_percent) >= :lowest;
