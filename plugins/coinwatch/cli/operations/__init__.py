"""Commands for operating coinwatch: the pipeline, the database, exchanges, status, servers."""
