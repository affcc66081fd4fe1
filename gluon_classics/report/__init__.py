"""Reports about runs: an HTML page and TensorBoard event files."""
