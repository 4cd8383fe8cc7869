-- States the newest quote in the new unit, if it was observed before the redenomination.
UPDATE latest_quotes SET price = price * :ratio, bid = bid * :ratio, ask = ask * :ratio, volume_24h = volume_24h / :ratio
WHERE instrument_id = :instrument_id AND observed_at < :effective_at;
