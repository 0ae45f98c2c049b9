"""Annotations in and out: painted slices, centroids, boxes. Imports neither tifffile nor zarr nor torch."""

from napari_weak3d.io.annotations.beside import count_named_masks, find_masks, find_repeated, masks_path
from napari_weak3d.io.annotations.boxes import (
    check_boxes,
    check_drawn,
    find_spilled,
    lie_in_region,
    name_spilled,
    read_boxes,
    write_boxes,
)
from napari_weak3d.io.annotations.centroids import (
    check_apart,
    check_centroids,
    check_clicks,
    read_centroids,
    read_centroids_and_columns,
    write_centroids,
)
from napari_weak3d.io.annotations.complete import SlicesWarning, check_indices, format_annotated, parse_annotated
from napari_weak3d.io.annotations.sample import check_sample
from napari_weak3d.io.annotations.sidecar import knows_background, sidecar_path
from napari_weak3d.io.annotations.slices import check_slices, painted_values, read_slices, write_slices

__all__ = [
    "SlicesWarning",
    "check_apart",
    "check_boxes",
    "check_centroids",
    "check_clicks",
    "check_drawn",
    "check_indices",
    "check_sample",
    "check_slices",
    "count_named_masks",
    "find_masks",
    "find_repeated",
    "find_spilled",
    "format_annotated",
    "knows_background",
    "lie_in_region",
    "masks_path",
    "name_spilled",
    "painted_values",
    "parse_annotated",
    "read_boxes",
    "read_centroids",
    "read_centroids_and_columns",
    "read_slices",
    "sidecar_path",
    "write_boxes",
    "write_centroids",
    "write_slices",
]
