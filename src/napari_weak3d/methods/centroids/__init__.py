"""Centroids: one click per cell (BFS-Net)."""
