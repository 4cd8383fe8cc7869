-- The privileges of the application and the reader, granted after every migration; skipped for roles that do not exist
-- (on a managed database, one role may do everything).
DO $$
BEGIN
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'coinwatch_app') THEN
    GRANT USAGE ON SCHEMA public TO coinwatch_app;
    GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO coinwatch_app;
    REVOKE UPDATE ON audit_log FROM coinwatch_app;
    REVOKE INSERT, UPDATE, DELETE ON alembic_version, price_retention FROM coinwatch_app;
    GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO coinwatch_app;
    GRANT EXECUTE ON FUNCTION create_price_partitions(date, date), drop_price_partition(date), end_long_reader_sessions()
      TO coinwatch_app;
  END IF;
  IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'coinwatch_reader') THEN
    GRANT USAGE ON SCHEMA public TO coinwatch_reader;
    GRANT SELECT ON watched_instruments, latest_prices, price_history, exchange_health, alert_activity, outbox_activity,
      candle_history, daily_ohlcv, gap_history TO coinwatch_reader;
  END IF;
END $$;

-- Memory for temporary tables, which a session can't choose once it has used one. Only the owner of the database may set
-- its defaults.
DO $$
BEGIN
  IF NOT EXISTS (SELECT FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase
                 WHERE d.datname = current_database() AND s.setrole = 0 AND 'temp_buffers=64MB' = ANY (s.setconfig)) THEN
    EXECUTE format('ALTER DATABASE %I SET temp_buffers = %L', current_database(), '64MB');
  END IF;
EXCEPTION WHEN insufficient_privilege THEN
  NULL;
END $$;
