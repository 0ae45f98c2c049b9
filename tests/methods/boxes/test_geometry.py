import numpy as np
import pytest
import torch

from napari_weak3d.methods.boxes.geometry import (
    box_iou,
    clip_boxes,
    find_centres,
    jitter_boxes,
    measure_volumes,
    pad_boxes,
    region_of,
)


def box(*corners):
    return torch.tensor([corners], dtype=torch.float32)


def test_half_shifted_cubes_share_a_third():
    assert box_iou(box((0, 0, 0), (2, 2, 2)), box((0, 0, 1), (2, 2, 3))).item() == pytest.approx(1 / 3)


def test_boxes_that_only_touch_share_nothing():
    assert box_iou(box((0, 0, 0), (2, 2, 2)), box((0, 2, 0), (2, 4, 2))).item() == 0


@pytest.mark.parametrize("at_once", [7, 4096])
def test_iou_of_any_boxes_is_that_of_a_loop(at_once, rng, draw_boxes, slow_iou, monkeypatch):
    monkeypatch.setattr("napari_weak3d.methods.boxes.geometry._AT_ONCE", at_once)
    boxes, others = draw_boxes(rng, count=40), draw_boxes(rng, count=30)
    slow = [[slow_iou(one, other) for other in others.tolist()] for one in boxes.tolist()]
    assert np.count_nonzero(slow) > 50
    np.testing.assert_allclose(box_iou(boxes, others), slow, atol=1e-6)


def test_iou_counts_voxels_of_whole_numbered_boxes():
    shape, first, second = (6, 7, 8), ((1, 1, 2), (4, 6, 7)), ((2, 0, 3), (6, 4, 8))
    drawn = []
    for low, high in (first, second):
        mask = np.zeros(shape, bool)
        mask[tuple(map(slice, low, high))] = True
        drawn.append(mask)
    expected = (drawn[0] & drawn[1]).sum() / (drawn[0] | drawn[1]).sum()
    whole = [torch.tensor([corners]) for corners in (first, second)]
    assert box_iou(*whole).item() == pytest.approx(expected)


def test_flat_boxes_share_nothing_even_with_themselves():
    flat = box((0, 0, 0), (0, 3, 3))
    assert box_iou(flat, flat).item() == 0
    assert measure_volumes(box((2, 0, 0), (1, 3, 3))).item() == 0


def test_no_boxes_give_an_empty_table():
    assert box_iou(torch.zeros(0, 2, 3), torch.zeros(4, 2, 3)).shape == (0, 4)


def test_a_box_is_cut_at_the_faces_of_a_region():
    cut = clip_boxes(box((-2, 1, 3), (4, 9, 5)), region_of((3, 6, 8)))
    assert cut.tolist() == [[[0, 1, 3], [3, 6, 5]]]
    outside = clip_boxes(box((5, 0, 0), (7, 2, 2)), region_of((3, 6, 8)))
    assert measure_volumes(outside).item() == 0


def test_a_padded_box_grows_around_its_centre():
    padded = pad_boxes(box((0, 10, 20), (10, 14, 22)), share=0.2)
    torch.testing.assert_close(padded, box((-1, 9.6, 19.8), (11, 14.4, 22.2)))


def test_jittered_faces_move_by_no_more_than_their_share(rng, draw_boxes):
    boxes = draw_boxes(rng, count=200)
    moved = jitter_boxes(boxes, share=0.15, rng=rng)
    moves = (moved - boxes) / (boxes[:, 1] - boxes[:, 0])[:, None]
    assert 0.14 < moves.abs().max() <= 0.1501
    assert moves.mean().abs() < 0.01
    assert (moved[:, 1] > moved[:, 0]).all()


def test_the_centre_of_a_voxel_is_its_number_and_a_half():
    assert find_centres(box((3, 4, 5), (4, 5, 6))).tolist() == [[3.5, 4.5, 5.5]]
