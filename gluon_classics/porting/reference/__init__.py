"""Compute what a correct port computes, and write it as a trace."""
