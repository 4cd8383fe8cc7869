-- Time of the newest price, number of prices since midnight, and subscriptions by status.
SELECT
  (SELECT max(observed_at) FROM latest_prices) AS newest_price_at,
  (SELECT count(*) FROM prices WHERE observed_at >= CAST(:today AS timestamptz)) AS prices_today,
  (
    SELECT coalesce(jsonb_object_agg(status, number), '{}')
    FROM (SELECT status, count(*) AS number FROM subscriptions GROUP BY status) s
  ) AS subscriptions;
