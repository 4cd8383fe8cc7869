-- Memory for sorting a year of minutes, and a limit on each statement (0: none), for this session.
SELECT set_config('work_mem', '64MB', false), set_config('temp_buffers', '64MB', false),
       set_config('statement_timeout', CAST(CAST(:milliseconds AS integer) AS text), false);
