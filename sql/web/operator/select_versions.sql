-- The version of Postgres, and the last migration.
SELECT current_setting('server_version') AS postgres, (SELECT max(version_num) FROM alembic_version) AS migration
