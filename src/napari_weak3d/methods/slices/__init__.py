"""A few painted slices in, dense labels out (3D U-Net; Cicek et al. 2016)."""
