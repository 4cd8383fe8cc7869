"""Commands for prices and candles: show, backfill, repair, check, import and export."""
