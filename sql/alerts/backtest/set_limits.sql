-- For this transaction: memory to sort a year of minutes, and a time limit per statement (0: none).
SELECT set_config('work_mem', '64MB', true),
       set_config('statement_timeout', CAST(CAST(:milliseconds AS integer) AS text), true);
