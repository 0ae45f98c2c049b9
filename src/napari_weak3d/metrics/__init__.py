"""Scores of labels, boxes and points against the truth. numpy and scipy only."""

from napari_weak3d.metrics.matching import match_pairs
from napari_weak3d.metrics.overlaps import Overlaps, compact_ids, iou_matrix, overlap_table
from napari_weak3d.metrics.scores import (
    AP_THRESHOLDS,
    MATCH_IOU,
    DetectionScores,
    InstanceScores,
    box_scores,
    class_scores,
    foreground_iou,
    instance_scores,
    marker_scores,
)

__all__ = [
    "AP_THRESHOLDS",
    "MATCH_IOU",
    "DetectionScores",
    "InstanceScores",
    "Overlaps",
    "box_scores",
    "class_scores",
    "compact_ids",
    "foreground_iou",
    "instance_scores",
    "iou_matrix",
    "marker_scores",
    "match_pairs",
    "overlap_table",
]
