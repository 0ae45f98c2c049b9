"""3D boxes for all instances, voxel masks for a few (Zhao et al. 2018)."""
