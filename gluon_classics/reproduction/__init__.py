"""Recipes with published results, the runs that reproduce them, and the verdicts on these runs."""
