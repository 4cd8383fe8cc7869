-- Whether Postgres knows a time zone.
SELECT EXISTS (SELECT FROM pg_timezone_names WHERE name = :zone);
