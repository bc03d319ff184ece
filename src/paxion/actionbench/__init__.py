"""Making an ActionBench of captioned videos: readers, foils, splits, audits, and the human baseline."""
