"""3D instance segmentation of microscopy volumes from weak labels."""

__version__ = "0.1.0.dev0"
