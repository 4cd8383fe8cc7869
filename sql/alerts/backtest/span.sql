-- What create_prices shows of the minutes: a view takes no parameters, but it reads settings of its session.
SELECT set_config('coinwatch.instrument_id', CAST(CAST(:instrument_id AS integer) AS text), false),
       set_config('coinwatch.oldest', CAST(CAST(:oldest AS timestamptz) AS text), false),
       set_config('coinwatch.newest', CAST(CAST(:newest AS timestamptz) AS text), false),
       set_config('coinwatch.kept_since', CAST(CAST(:kept_since AS timestamptz) AS text), false);
