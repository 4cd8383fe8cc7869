-- States the candles before a redenomination in the new unit.
UPDATE candles SET open = open * :ratio, high = high * :ratio, low = low * :ratio, close = close * :ratio, volume = volume / :ratio
WHERE instrument_id = :instrument_id AND opened_at < :effective_at;
