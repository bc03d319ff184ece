"""Looking at single clips: what every model scores them, forwards and backwards, against every text."""
