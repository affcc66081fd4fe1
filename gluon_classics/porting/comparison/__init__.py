"""Compare a port with a trace. Needs only NumPy."""
