"""Predictions that others published, scored like a run of one's own."""
