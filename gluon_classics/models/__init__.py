"""The networks, one file per family, with the registry that finds them by name, their blocks and objectives."""
