"""Models of run folders beside each other, sample by sample."""
