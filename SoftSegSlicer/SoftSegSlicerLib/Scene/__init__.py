"""The product in the MRML scene: nodes, references, folding, heat maps. Needs no Qt and no application."""
