"""Experiments: settings, and the network, the data loaders and the trainer that are built from them."""
