"""What every voxel should say, as far as boxes and masks tell it."""

import numpy as np
import pytest
import torch

from napari_weak3d.methods.boxes.dense import (
    BOUNDARY,
    INSIDE,
    find_flat,
    label_voxels,
    mark_classes,
    projection_loss,
)
from napari_weak3d.nn.warp import UNLABELLED


def test_outside_of_all_boxes_is_background_and_inside_of_one_without_a_mask_nothing_is_told():
    rng = np.random.default_rng(0)
    for _ in range(20):
        shape = rng.integers(4, 9, 3)
        low = rng.uniform(-2, shape - 1, (4, 3))
        boxes = np.stack([low, low + rng.uniform(1, 5, (4, 3))], axis=1)
        told = rng.random(4) < 0.5
        masks = np.where(rng.random(shape) < 0.2, rng.integers(1, 5, shape), 0)
        masks[0] = UNLABELLED
        found = label_voxels(torch.from_numpy(masks), torch.from_numpy(boxes), told=torch.from_numpy(told)).numpy()
        for at in np.ndindex(*shape):
            touched = any(
                all(lo < a + 1 and a < hi for a, lo, hi in zip(at, *box, strict=True))
                for box, is_told in zip(boxes, told, strict=True)
                if not is_told
            )
            assert found[at] == (UNLABELLED if touched and masks[at] == 0 else masks[at])


def test_boundaries_are_voxels_that_touch_something_else_by_a_face():
    rng = np.random.default_rng(0)
    ids = rng.integers(-1, 3, (5, 6, 7))
    for flat in ((), (0,)):
        found = mark_classes(torch.from_numpy(ids)[None], flat=flat)[0].numpy()
        for at in np.ndindex(*ids.shape):
            touches = False
            for axis, step in np.ndindex(3, 2):
                other = list(at)
                other[axis] += 2 * step - 1
                if not 0 <= other[axis] < ids.shape[axis]:
                    continue
                beside = ids[tuple(other)]
                differs = beside not in (ids[at], UNLABELLED)
                touches |= bool(differs and (axis not in flat or beside > 0))
            expected = ids[at] if ids[at] <= 0 else BOUNDARY if touches else INSIDE
            assert found[at] == expected


def test_flat_axes_are_those_along_which_objects_have_no_room_for_a_boundary():
    assert find_flat((4.0, 40.0, 7.9)) == (0, 2)


def test_an_object_reaches_through_its_box_in_every_plane():
    foreground = torch.full((4, 6, 6), 0.01)
    foreground[1:3, 1:4, 1:5] = 0.2
    foreground[1, 1, 1] = foreground[2, 2, 2] = foreground[2, 3, 3] = foreground[1, 1, 4] = 0.9
    box = torch.tensor([[[1.0, 1, 1], [3, 4, 5]]])
    expected = np.mean([-np.log(0.9)] * 3)
    assert float(projection_loss(foreground, box)) == pytest.approx(expected)
    larger = torch.tensor([[[1.0, 1, 1], [3, 4, 6]]])
    along_x = np.mean([-np.log(0.9)] * 4 + [-np.log(0.01)])
    assert float(projection_loss(foreground, larger)) == pytest.approx(
        np.mean([-np.log(0.9)] * 2 + [along_x]), rel=1e-5
    )


def test_boxes_that_the_patch_cuts_say_nothing_of_planes():
    foreground = torch.full((4, 6, 6), 0.5)
    assert float(projection_loss(foreground, torch.tensor([[[-1.0, 1, 1], [3, 4, 5]]]))) == 0
    assert float(projection_loss(foreground, torch.zeros(0, 2, 3))) == 0
