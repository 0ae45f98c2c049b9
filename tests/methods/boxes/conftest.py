"""What tests of boxes share: random boxes, and an overlap in plain words."""

from __future__ import annotations

import numpy as np
import pytest
import torch


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def _draw_boxes(rng, *, count, extent=30.0, largest=12.0):
    low = rng.uniform(0, extent, (count, 3))
    return torch.from_numpy(np.stack([low, low + rng.uniform(1, largest, (count, 3))], axis=1)).float()


@pytest.fixture
def draw_boxes():
    return _draw_boxes


def _slow_iou(box, other):
    """Of two boxes, [low, high] each, one axis after the other."""
    common, volume, other_volume = 1.0, 1.0, 1.0
    for axis in range(3):
        low = max(box[0][axis], other[0][axis])
        high = min(box[1][axis], other[1][axis])
        common *= max(high - low, 0.0)
        volume *= box[1][axis] - box[0][axis]
        other_volume *= other[1][axis] - other[0][axis]
    return common / (volume + other_volume - common)


@pytest.fixture
def slow_iou():
    return _slow_iou
