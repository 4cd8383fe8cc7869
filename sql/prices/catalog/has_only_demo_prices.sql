-- Whether prices are collected, and every enabled exchange simulates them.
SELECT coalesce(bool_and(simulated), false) FROM exchanges WHERE enabled AND code <> 'index';
