"""What a network consists of: summary, graph of layers, difference between two networks, and diagram."""
