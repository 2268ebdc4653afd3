"""Finding KeyUpdates in what was opened."""
