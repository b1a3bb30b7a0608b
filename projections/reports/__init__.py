"""Reports: what a month, or a moment, comes to; small tables with a sentence and a picture."""
