-- Exchanges that were neither probed nor enabled or disabled by an operator.
SELECT code FROM exchanges WHERE probed_at IS NULL AND code <> 'index' ORDER BY code;
