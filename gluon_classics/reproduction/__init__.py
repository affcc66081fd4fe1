"""Recipes with published results, the runs that reproduce them, and the verdicts on these runs."""

from gluon_classics._lazy import public_names

_HOMES = {
    "Recipe": ".recipes",
    "Verdict": ".verdict",
    "get_recipe": ".recipes",
    "judge": ".verdict",
    "list_recipes": ".recipes",
}
__getattr__, __dir__, __all__ = public_names(__name__, _HOMES)
