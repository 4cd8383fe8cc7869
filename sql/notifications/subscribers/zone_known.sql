-- Whether Postgres knows a time zone's name.
SELECT EXISTS (SELECT FROM pg_timezone_names WHERE name = :zone);
