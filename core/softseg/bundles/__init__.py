"""MONAI bundles made by others: their networks, preparation and windows, with results on a label tree.

- :mod:`softseg.bundles.recognition`: what a bundle looks like.
- :mod:`softseg.bundles.expressions`: which expressions of a configuration are values and nothing more.
- :mod:`softseg.bundles.configuration`: the parts of ``inference.json`` that predict, checked before anything is built.
- :mod:`softseg.bundles.outputs`: what the channels mean on a tree; numpy alone.
- :mod:`softseg.bundles.folder`: a bundle's folder, read without PyTorch and MONAI.
- :mod:`softseg.bundles.predictor`: from scans to probabilities, computed by MONAI itself.
"""
