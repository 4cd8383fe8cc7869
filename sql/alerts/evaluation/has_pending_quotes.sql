-- Whether any quote in [:start, :end) has not been evaluated.
SELECT EXISTS (
  SELECT FROM evaluation_watermarks w
  CROSS JOIN LATERAL (
    SELECT FROM prices
    WHERE instrument_id = w.instrument_id AND observed_at > w.evaluated_to AND observed_at >= :start AND observed_at < :end
    LIMIT 1
  ) pending
  WHERE w.evaluated_to < :end
);
