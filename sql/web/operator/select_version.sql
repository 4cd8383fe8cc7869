-- The version of Postgres.
SELECT current_setting('server_version') AS postgres
