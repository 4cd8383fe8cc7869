-- A page does not wait longer than this for a run of the matcher.
SELECT set_config('lock_timeout', :milliseconds, true);
