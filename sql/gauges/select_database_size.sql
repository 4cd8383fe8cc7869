-- Size of the database on disk in bytes, including catalogs.
SELECT pg_database_size(current_database());
