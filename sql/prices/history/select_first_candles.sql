-- When the first candle of one instrument in [start, end) opened, by resolution; null if there is none.
SELECT (SELECT opened_at FROM candles
        WHERE instrument_id = :instrument_id AND resolution = '1m' AND opened_at >= :start AND opened_at < :end
        ORDER BY opened_at LIMIT 1) AS minutes,
       (SELECT opened_at FROM candles
        WHERE instrument_id = :instrument_id AND resolution = '1h' AND opened_at >= :start AND opened_at < :end
        ORDER BY opened_at LIMIT 1) AS hours,
       (SELECT opened_at FROM candles
        WHERE instrument_id = :instrument_id AND resolution = '1d' AND opened_at >= :start AND opened_at < :end
        ORDER BY opened_at LIMIT 1) AS days;
