-- The database's size on disk, catalogs included.
SELECT pg_database_size(current_database());
