-- Look at one stretch of one instrument.
INSERT INTO looked_stretches (instrument_id, started_at, ended_at, tolerance, answer)
VALUES (:instrument_id, :started_at, :ended_at, :tolerance, :answer);
