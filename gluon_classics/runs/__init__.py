"""Training runs: run folder, record, checkpoints, training, resuming, and prediction with a trained network."""
