"""Reading stored prices: latest, series, downsampling, as-of, movers."""
