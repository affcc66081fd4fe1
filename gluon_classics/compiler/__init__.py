"""Compiled twins of networks: one static graph with the same parameters, rewritten to run faster on the CPU."""
