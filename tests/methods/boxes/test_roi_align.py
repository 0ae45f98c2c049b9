import itertools
import math

import numpy as np
import pytest
import torch

from napari_weak3d.methods.boxes.roi_align import roi_align


def slow_roi_align(features, rois, *, image, stride, size):
    """Point by point, a loop over the 8 neighbours of each."""
    out = np.zeros((len(rois), features.shape[1], size, size, size))
    for row, (low, high) in enumerate(rois.tolist()):
        grid = features[int(image[row])].numpy()
        for point in itertools.product(range(size), repeat=3):
            at = []
            for axis, part in enumerate(point):
                voxel = low[axis] + (high[axis] - low[axis]) * (part + 0.5) / size
                # The centre of feature i lies at (i + 0.5) * stride voxels.
                at.append(min(max(voxel / stride[axis] - 0.5, 0), grid.shape[axis + 1] - 1))
            for step in itertools.product((0, 1), repeat=3):
                corner = [math.floor(value) + one for value, one in zip(at, step, strict=True)]
                weight = math.prod(1 - abs(value - near) for value, near in zip(at, corner, strict=True))
                if weight > 0:
                    out[(row, slice(None), *point)] += weight * grid[(slice(None), *corner)]
    return out


@pytest.mark.parametrize("stride", [(1, 1, 1), (2, 4, 4)])
def test_any_boxes_are_sampled_as_by_a_loop_over_the_8_neighbours(rng, draw_boxes, stride):
    features = torch.from_numpy(rng.normal(size=(2, 3, 5, 7, 6)))
    rois = draw_boxes(rng, count=6, extent=12).double() - 3  # some reach over a face, some lie outside
    image = torch.tensor([0, 1, 1, 0, 1, 0])
    fast = roi_align(features, rois, image=image, stride=stride, size=3)
    np.testing.assert_allclose(fast, slow_roi_align(features, rois, image=image, stride=stride, size=3), atol=1e-12)


def test_a_box_of_whole_voxels_gives_these_voxels():
    features = torch.arange(4 * 5 * 6.0).reshape(1, 1, 4, 5, 6)
    roi = torch.tensor([[[1.0, 2, 3], [3, 4, 5]]])
    found = roi_align(features, roi, image=torch.tensor([0]), stride=(1, 1, 1), size=2)
    assert torch.equal(found[0, 0], features[0, 0, 1:3, 2:4, 3:5])


def test_boxes_are_not_rounded():
    ramp = torch.arange(8.0).expand(1, 1, 4, 4, 8)
    roi = torch.tensor([[[0.0, 0, 2.25], [4, 4, 3.25]]])
    found = roi_align(ramp, roi, image=torch.tensor([0]), stride=(1, 1, 1), size=1)
    assert found.item() == pytest.approx(2.25)


def test_beyond_the_volume_the_outermost_features_go_on():
    ramp = torch.arange(4.0).expand(1, 1, 4, 4, 4)
    roi = torch.tensor([[[0.0, 0, -4], [4, 4, 0]], [[0, 0, 4], [4, 4, 8]]])
    found = roi_align(ramp, roi, image=torch.tensor([0, 0]), stride=(1, 1, 1), size=2)
    assert (found[0] == 0).all()
    assert (found[1] == 3).all()


def test_an_image_one_feature_thick_is_no_special_case():
    features = torch.full((1, 1, 1, 3, 3), 7.0)
    roi = torch.tensor([[[0.0, 0, 0], [1, 3, 3]]])
    assert (roi_align(features, roi, image=torch.tensor([0]), stride=(1, 1, 1), size=4) == 7).all()


def test_no_boxes_give_no_samples():
    found = roi_align(
        torch.zeros(1, 5, 4, 4, 4),
        torch.zeros(0, 2, 3),
        image=torch.zeros(0, dtype=torch.int64),
        stride=(1, 1, 1),
        size=3,
    )
    assert found.shape == (0, 5, 3, 3, 3)


def test_features_in_half_precision_are_sampled_in_single():
    features = torch.ones(1, 2, 4, 4, 4, dtype=torch.bfloat16)
    roi = torch.tensor([[[0.0, 0, 0], [4, 4, 4]]])
    assert roi_align(features, roi, image=torch.tensor([0]), stride=(1, 1, 1), size=2).dtype == torch.float32


def test_gradients_of_features_are_those_of_small_differences(rng, draw_boxes):
    features = torch.from_numpy(rng.normal(size=(2, 2, 3, 4, 3))).requires_grad_()
    rois = draw_boxes(rng, count=3, extent=4, largest=5).double() - 1
    image = torch.tensor([1, 0, 1])
    assert torch.autograd.gradcheck(
        lambda given: roi_align(given, rois, image=image, stride=(1, 1, 2), size=2), (features,)
    )


def test_no_gradient_flows_into_boxes(draw_boxes, rng):
    features = torch.ones(1, 1, 4, 4, 4, requires_grad=True)
    rois = draw_boxes(rng, count=2, extent=2).requires_grad_()
    roi_align(features, rois, image=torch.tensor([0, 0]), stride=(1, 1, 1), size=2).sum().backward()
    assert rois.grad is None
