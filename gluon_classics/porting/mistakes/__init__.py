"""The usual mistakes of ports, as variants of the definitions. Needs only NumPy."""
