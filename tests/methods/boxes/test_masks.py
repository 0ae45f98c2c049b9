import itertools

import numpy as np
import torch

from napari_weak3d.methods.boxes.masks import crop_masks, find_duplicates, paste_masks
from napari_weak3d.methods.boxes.roi_align import roi_align

ONE = torch.tensor([0])


def slow_paste(probabilities, rois, *, shape, threshold):
    """Voxel by voxel, box by box; each probability interpolated from the 8 points around the voxel's centre."""
    labels, highest = np.zeros(shape, np.int32), np.zeros(shape)
    for voxel in itertools.product(*map(range, shape)):
        for row, (low, high) in enumerate(rois.tolist()):
            if not all(a <= at + 0.5 < b for a, at, b in zip(low, voxel, high, strict=True)):
                continue
            size = probabilities.shape[1]
            at = [
                min(max((v + 0.5 - a) / (b - a) * size - 0.5, 0), size - 1)
                for v, a, b in zip(voxel, low, high, strict=True)
            ]
            value = 0.0
            for corner in itertools.product(range(size), repeat=3):
                weight = np.prod([max(0, 1 - abs(x - c)) for x, c in zip(at, corner, strict=True)])
                value += weight * float(probabilities[(row, *corner)])
            if value > highest[voxel]:
                highest[voxel] = value
                if value >= threshold:
                    labels[voxel] = row + 1
    return labels, highest


def test_a_crop_of_whole_voxels_is_the_mask_itself():
    labels = torch.zeros(1, 4, 5, 6, dtype=torch.int32)
    labels[0, 1:3, 2:4, 3] = 7
    labels[0, 1, 2, 4] = 8  # a neighbour is not inside
    targets = crop_masks(labels, torch.tensor([[[1.0, 2, 3], [3, 4, 5]]]), ids=torch.tensor([7]), image=ONE, size=2)
    assert torch.equal(targets.inside[0], labels[0, 1:3, 2:4, 3:5] == 7)
    assert targets.known.all()


def test_a_crop_is_inside_where_the_interpolated_mask_is_at_least_a_half(rng, draw_boxes):
    labels = torch.from_numpy(rng.integers(0, 3, (2, 7, 8, 9)))
    rois = draw_boxes(rng, count=6, extent=6).double() - 2
    image, ids = torch.tensor([0, 1, 0, 1, 1, 0]), torch.tensor([1, 2, 2, 1, 0, 5])
    found = crop_masks(labels, rois, ids=ids, image=image, size=4)
    for row in range(6):
        own = (labels == ids[row]).double()[:, None]
        plain = roi_align(own, rois[[row]], image=image[[row]], stride=(1, 1, 1), size=4)[0, 0]
        sure = (plain - 0.5).abs() > 1e-9
        assert torch.equal(found.inside[row][sure], (plain >= 0.5)[sure])


def test_points_outside_the_volume_are_not_known():
    labels = torch.ones(1, 4, 4, 4, dtype=torch.int32)
    roi = torch.tensor([[[0.0, 0, -4], [4, 4, 4]]])
    known = crop_masks(labels, roi, ids=torch.tensor([1]), image=ONE, size=4).known
    assert not known[..., :2].any()
    assert known[..., 2:].all()


def test_a_pasted_mask_of_whole_voxels_is_the_mask_itself():
    mask = torch.tensor(np.random.default_rng(0).uniform(size=(1, 3, 3, 3)) > 0.5)
    pasted = paste_masks(mask.float(), torch.tensor([[[1.0, 2, 0], [4, 5, 3]]]), shape=(5, 6, 4))
    expected = np.zeros((5, 6, 4), np.int32)
    expected[1:4, 2:5, 0:3] = mask[0]
    np.testing.assert_array_equal(pasted.labels, expected)


def test_a_voxel_in_two_boxes_goes_to_the_more_probable_object_and_the_first_of_equal_ones():
    probabilities = torch.tensor([0.7, 0.9, 0.9])[:, None, None, None].expand(3, 2, 2, 2)
    rois = torch.tensor([[[0.0, 0, 0], [1, 1, 4]], [[0, 0, 2], [1, 1, 6]], [[0, 0, 5], [1, 1, 8]]])
    pasted = paste_masks(probabilities, rois, shape=(1, 1, 8))
    assert pasted.labels.ravel().tolist() == [1, 1, 2, 2, 2, 2, 3, 3]


def test_improbable_voxels_are_nobodys_but_keep_their_probability():
    pasted = paste_masks(torch.full((1, 2, 2, 2), 0.4), torch.tensor([[[0.0, 0, 0], [2, 2, 2]]]), shape=(2, 2, 3))
    assert not pasted.labels.any()
    np.testing.assert_allclose(pasted.probability[..., :2], 0.4)
    assert (pasted.probability[..., 2] == 0).all()


def test_any_masks_are_pasted_as_voxel_by_voxel(rng, draw_boxes):
    rois = draw_boxes(rng, count=5, extent=5, largest=6) - 1  # overlapping, some over a face
    probabilities = torch.from_numpy(rng.uniform(size=(5, 3, 3, 3))).float()
    labels, highest = slow_paste(probabilities, rois, shape=(6, 5, 7), threshold=0.5)
    pasted = paste_masks(probabilities, rois, shape=(6, 5, 7), threshold=0.5)
    np.testing.assert_array_equal(pasted.labels, labels)
    np.testing.assert_allclose(pasted.probability, highest, atol=1e-5)


def test_a_box_outside_the_volume_pastes_nothing():
    pasted = paste_masks(torch.ones(1, 2, 2, 2), torch.tensor([[[9.0, 9, 9], [12, 12, 12]]]), shape=(4, 4, 4))
    assert not pasted.labels.any()


def test_a_cropped_ball_comes_back_whole_through_a_padded_box():
    z, y, x = np.ogrid[:16, :24, :24]
    ball = ((z - 8) / 5) ** 2 + ((y - 12) / 8) ** 2 + ((x - 11) / 7) ** 2 < 1
    roi = torch.tensor([[[2.3, 2.9, 2.8], [14.6, 21.7, 19.9]]])
    labels = torch.from_numpy(ball[None].astype(np.int32))
    crop = crop_masks(labels, roi, ids=torch.tensor([1]), image=ONE, size=24)
    back = paste_masks(crop.inside.float(), roi, shape=ball.shape).labels > 0
    assert (back & ball).sum() / (back | ball).sum() > 0.95


def slow_duplicates(probabilities, rois, *, shape, threshold):
    """Each object's voxels as a set, taken from those that earlier ones have."""
    taken, again = {}, []
    for row in range(len(rois)):
        pasted = paste_masks(probabilities[row : row + 1], rois[row : row + 1], shape=shape, threshold=threshold)
        voxels = set(map(tuple, np.argwhere(pasted.labels)))
        shared = max((len(voxels & theirs) for theirs in taken.values()), default=0)
        again.append(len(voxels) > 0 and shared > 0.5 * len(voxels))
        if not again[-1]:
            taken[row] = voxels - set().union(*taken.values())
    return again


def test_any_duplicates_are_found_as_voxel_by_voxel(rng, draw_boxes):
    found = 0
    for _ in range(5):
        rois = draw_boxes(rng, count=8, extent=5, largest=6) - 1
        probabilities = torch.from_numpy(rng.uniform(size=(8, 3, 3, 3))).float() ** 0.5
        again = find_duplicates(probabilities, rois, classes=[1] * len(rois), shape=(6, 5, 7))
        assert again.tolist() == slow_duplicates(probabilities, rois, shape=(6, 5, 7), threshold=0.5)
        found += again.sum()
    assert found > 2


def test_neighbours_whose_boxes_overlap_are_no_duplicates_a_part_of_one_is():
    left = torch.zeros(2, 2, 4)
    left[..., :2] = 1
    masks = torch.stack([left, left.flip(2), left])
    masks = torch.nn.functional.interpolate(masks[:, None], (4, 4, 4), mode="nearest")[:, 0]
    whole, part = [[0.0, 0, 0], [4, 4, 8]], [[0.0, 0, 0], [4, 4, 4]]
    rois = torch.tensor([whole, whole, part])
    where = {"shape": (4, 4, 8)}
    assert find_duplicates(masks, rois, classes=[1, 1, 1], **where).tolist() == [False, False, True]
    assert find_duplicates(masks, rois, classes=[1, 1, 2], **where).tolist() == [False, False, False]
    same = [0, 0]
    assert find_duplicates(masks[same], rois[same], classes=[1, 2], **where).tolist() == [False, True]
    assert find_duplicates(masks[:0], rois[:0], classes=[], **where).tolist() == []
