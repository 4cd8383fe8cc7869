-- States the prices before a redenomination in the new unit.
UPDATE prices SET price = price * :ratio, bid = bid * :ratio, ask = ask * :ratio, volume_24h = volume_24h / :ratio
WHERE instrument_id = :instrument_id AND observed_at < :effective_at;
