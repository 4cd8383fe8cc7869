-- Sets the parameters of the view that create_prices creates. A view has no parameters, but can read session settings.
SELECT set_config('coinwatch.instrument_id', CAST(CAST(:instrument_id AS integer) AS text), true),
       set_config('coinwatch.oldest', CAST(CAST(:oldest AS timestamptz) AS text), true),
       set_config('coinwatch.newest', CAST(CAST(:newest AS timestamptz) AS text), true),
       set_config('coinwatch.first_price_at', CAST(CAST(:first_price_at AS timestamptz) AS text), true);
