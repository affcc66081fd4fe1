"""The networks, one file per family, with the registry that finds them by name, their blocks and objectives."""

from gluon_classics._lazy import public_names

_HOMES = {
    "ModelInfo": ".registry",
    "Objective": ".objective",
    "get_model": ".registry",
    "list_models": ".registry",
    "model_info": ".registry",
    "objective_of": ".objective",
}
__getattr__, __dir__, __all__ = public_names(__name__, _HOMES)
