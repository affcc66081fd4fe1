"""Pictures of a network's architecture: arrangement of the layers, layout on a page, and drawing as SVG or PNG."""
