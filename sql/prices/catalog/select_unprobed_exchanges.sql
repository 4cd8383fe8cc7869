-- Exchanges whose switch nobody has set yet.
SELECT code FROM exchanges WHERE probed_at IS NULL AND code <> 'index' ORDER BY code;
