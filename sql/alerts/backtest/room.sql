-- A year of minutes is sorted in memory, and its values are read again without asking the disk; for this session alone.
SELECT set_config('work_mem', '64MB', false), set_config('temp_buffers', '64MB', false),
       set_config('statement_timeout', CAST(CAST(:milliseconds AS integer) AS text), false);
