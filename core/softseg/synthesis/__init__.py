"""Images made up from label maps: training without scans, for scans of any contrast and resolution.

After Billot et al. (SynthSeg, Medical Image Analysis 2023) and Hoopes et al. (SynthStrip, NeuroImage 2022): a label map
is deformed, every class gets a random intensity, and the picture is degraded as scanners do it. Ours are intensities
that siblings of a tree share, and targets that are the exact fractions of the structures in each voxel.
"""
