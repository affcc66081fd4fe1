"""Read networks as graphs of neutral operations, and describe them."""
