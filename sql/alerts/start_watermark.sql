-- Judging of an instrument begins with its first subscription.
INSERT INTO match_watermarks (instrument_id, judged_to) VALUES (:instrument_id, :now)
ON CONFLICT (instrument_id) DO NOTHING;
