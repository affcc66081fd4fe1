"""Compute the operations of a graph and their gradients in float64. Needs only NumPy."""
