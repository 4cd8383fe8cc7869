-- The pipeline in one row.
SELECT
  (SELECT max(observed_at) FROM latest_prices) AS newest_price_at,
  (SELECT count(*) FROM prices WHERE observed_at >= CAST(:today AS timestamptz)) AS prices_today,
  (SELECT count(*) FROM alerts WHERE created_at > CAST(:now AS timestamptz) - interval '24 hours') AS alerts_24h,
  (SELECT coalesce(jsonb_object_agg(status, number), '{}') FROM (SELECT status, count(*) AS number FROM subscriptions GROUP BY status) s)
    AS subscriptions,
  (SELECT coalesce(jsonb_object_agg(status, number), '{}') FROM (SELECT status, count(*) AS number FROM outbox GROUP BY status) o)
    AS outbox,
  (SELECT min(created_at) FROM outbox WHERE status = 'queued') AS outbox_oldest_at;
