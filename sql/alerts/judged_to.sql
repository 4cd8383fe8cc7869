-- Up to where values have been judged at most: what lies before the values of a batch ends there.
SELECT max(judged_to) FROM match_watermarks;
