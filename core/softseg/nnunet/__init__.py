"""nnU-Net 2 (package ``nnunetv2``, the extra ``nnunet``): its models for prediction here, our losses as its trainers.

- :mod:`softseg.nnunet.labels`: what its channels and label values mean on a tree; numpy alone.
- :mod:`softseg.nnunet.folder`: what a model folder holds, without anything of nnU-Net.
- :mod:`softseg.nnunet.predictor`: from scans to probabilities, computed by nnU-Net itself.
- :mod:`softseg.nnunet.trainers`: trainers for its flag ``-tr``, which it finds in :mod:`softseg.nnunet.plugin`.
"""
