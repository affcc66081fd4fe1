"""An experiment, from its settings to a network, data loaders and a trainer that are ready to train."""
