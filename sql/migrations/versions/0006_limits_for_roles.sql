-- Locks --------------------------------------------------------------------------------------------

-- Empty tables, because a table's lock needs a privilege on it: anyone may take an advisory lock, for example the reader
-- role through Grafana, and stop the pipeline with it. Locked IN EXCLUSIVE MODE until the transaction ends.
CREATE TABLE lock_catalog ();
COMMENT ON TABLE lock_catalog IS 'Workers that start at the same time don''t insert the same rows.';
CREATE TABLE lock_evaluation ();
COMMENT ON TABLE lock_evaluation IS 'Quotes are evaluated in order of time.';
CREATE TABLE lock_candles ();
COMMENT ON TABLE lock_candles IS 'A candle is not overwritten with one computed from older prices.';
CREATE TABLE lock_gaps ();
COMMENT ON TABLE lock_gaps IS 'Concurrent searches for gaps don''t write outdated results.';
CREATE TABLE lock_emails_per_day ();
COMMENT ON TABLE lock_emails_per_day IS 'Concurrent senders don''t exceed the daily limit together.';
CREATE TABLE lock_partitions ();
COMMENT ON TABLE lock_partitions IS 'Partitions of prices are created and dropped one at a time.';

-- Retention ----------------------------------------------------------------------------------------

CREATE TABLE price_retention (
  only_row boolean PRIMARY KEY DEFAULT true CONSTRAINT price_retention_one_row CHECK (only_row),
  days integer NOT NULL CONSTRAINT price_retention_days_check CHECK (days >= 0)
);
COMMENT ON TABLE price_retention IS 'COINWATCH_PRICE_RETENTION_DAYS at the last migration. Only the owner changes it.';
COMMENT ON COLUMN price_retention.days IS 'Prices are kept for at least this long; 0 is forever.';
INSERT INTO price_retention (days) VALUES (90);

CREATE OR REPLACE FUNCTION create_price_partitions(first_day date, last_day date) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  day date;
  partition text;
  created integer := 0;
BEGIN
  IF last_day - first_day > 400 THEN
    RAISE EXCEPTION 'refusing to create % partitions at once (from % to %)', last_day - first_day + 1, first_day, last_day;
  END IF;
  LOCK TABLE lock_partitions IN EXCLUSIVE MODE;
  FOR day IN SELECT generate_series(first_day, last_day, interval '1 day')::date LOOP
    partition := 'prices_' || to_char(day, 'YYYYMMDD');
    CONTINUE WHEN to_regclass('public.' || partition) IS NOT NULL;
    EXECUTE format('CREATE TABLE public.%I (LIKE public.prices INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', partition);
    EXECUTE format('ALTER TABLE public.prices ATTACH PARTITION public.%I FOR VALUES FROM (%L) TO (%L)',
                   partition, day::text || ' 00:00+00', (day + 1)::text || ' 00:00+00');
    created := created + 1;
  END LOOP;
  RETURN created;
END $$;

-- Drops one day's partition of prices, for the application role, which does not own it. Returns one of
--   dropped   the partition is gone, with all its prices
--   retained  price_retention does not allow it yet
--   absent    there is no such partition
--   busy      prices could not be locked in time: try again later
--   stale     prices of that day changed and their candles have not been refreshed since: refresh them, then try again
-- Dropping a partition locks all of prices, so it does not wait long for the lock, and the caller checks before that
-- every minute has its candle and that alerts have been evaluated. Prices loaded between those checks and the lock left
-- a row in stale_candles in the same transaction, which is found here. The parent is locked before the partition, as by
-- the loader, to avoid deadlocks.
CREATE OR REPLACE FUNCTION drop_price_partition(day date) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp SET lock_timeout = '500ms' AS $$
DECLARE
  partition text := 'prices_' || to_char(day, 'YYYYMMDD');
  day_start timestamptz := day::timestamp AT TIME ZONE 'UTC';
  day_end timestamptz := (day + 1)::timestamp AT TIME ZONE 'UTC';
BEGIN
  IF NOT EXISTS (SELECT FROM price_retention WHERE days > 0 AND day_end <= clock_timestamp() - days * interval '1 day') THEN
    RETURN 'retained';
  END IF;
  BEGIN
    LOCK TABLE lock_partitions IN EXCLUSIVE MODE;
    IF NOT EXISTS (SELECT FROM pg_inherits WHERE inhparent = 'public.prices'::regclass AND inhrelid = to_regclass('public.' || partition)) THEN
      RETURN 'absent';
    END IF;
    LOCK TABLE ONLY public.prices IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('LOCK TABLE ONLY public.%I IN ACCESS EXCLUSIVE MODE', partition);
  EXCEPTION WHEN lock_not_available OR deadlock_detected THEN
    RETURN 'busy';
  END;
  IF EXISTS (SELECT FROM stale_candles WHERE changed IS NULL AND first_at < day_end AND last_at >= day_start) THEN
    RETURN 'stale';
  END IF;
  EXECUTE format('DROP TABLE public.%I', partition);
  RETURN 'dropped';
END $$;

-- Reader -------------------------------------------------------------------------------------------

-- Ends queries of the reader role that run for more than a minute, and its transactions of more than five. The role has
-- shorter limits of its own, but any SQL may change those. Returns how many sessions were ended; none if the owner has no
-- privileges of the reader, which `coinwatch setup-database` grants.
CREATE FUNCTION end_long_reader_sessions() RETURNS integer
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
  SELECT CAST(count(*) FILTER (WHERE pg_terminate_backend(a.pid)) AS integer)
  FROM pg_stat_activity a
  JOIN pg_roles r ON r.oid = a.usesysid
  JOIN pg_roles readers ON readers.rolname = 'coinwatch_reader'
  WHERE pg_has_role(r.oid, readers.oid, 'USAGE') AND NOT r.rolsuper AND r.rolname <> current_user
    AND pg_has_role(r.oid, 'USAGE') AND a.datname = current_database()
    AND ((a.state = 'active' AND a.query_start < clock_timestamp() - interval '1 minute')
      OR a.xact_start < clock_timestamp() - interval '5 minutes')
$$;
REVOKE EXECUTE ON FUNCTION end_long_reader_sessions() FROM PUBLIC;
