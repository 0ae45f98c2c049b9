import numpy as np
import torch

from napari_weak3d.methods.boxes.anchors import AnchorLayer, choose_sizes, place_anchors, plan_anchors
from napari_weak3d.methods.boxes.geometry import box_iou
from napari_weak3d.types import Boxes

STRIDES = [(1, 1, 1), (2, 2, 2), (4, 4, 4)]


def drawn(sizes):
    low = np.arange(3 * len(sizes)).reshape(-1, 3)
    corners = np.stack([low, low + np.asarray(sizes)], axis=1)
    return Boxes(corners, np.ones(len(sizes), np.int64), None, np.zeros(len(sizes), bool))


def test_two_kinds_of_boxes_give_their_two_sizes(rng):
    found = choose_sizes([drawn([(20, 30, 40)] * 5), drawn([(5, 6, 7)] * 9)], count=2, rng=rng)
    np.testing.assert_allclose(found, [(5, 6, 7), (20, 30, 40)])


def test_a_size_is_the_geometric_mean_of_the_boxes_it_stands_for(rng):
    np.testing.assert_allclose(choose_sizes([drawn([(4, 9, 10), (16, 4, 10)])], count=1, rng=rng), [(8, 6, 10)])


def test_fewer_different_boxes_than_asked_for_give_as_many_sizes(rng):
    np.testing.assert_allclose(choose_sizes([drawn([(4, 5, 6)] * 3)], count=4, rng=rng), [(4, 5, 6)])


def test_sizes_are_as_many_as_it_takes_to_fit_the_boxes(rng):
    alike = drawn(10 + np.random.default_rng(3).integers(0, 3, (40, 3)))
    assert len(choose_sizes([alike], count=0, rng=rng)) == 4
    wild = np.exp(np.random.default_rng(4).uniform(np.log(3), np.log(60), (60, 3))).round().astype(int)
    sizes = choose_sizes([drawn(wild)], count=0, rng=rng)
    assert 4 < len(sizes) <= 9


def test_the_same_seed_chooses_the_same_sizes():
    boxes = drawn(np.random.default_rng(1).integers(3, 40, (200, 3)))
    first, second = (choose_sizes([boxes], count=5, rng=np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.shape == (5, 3)


def test_no_box_is_nearer_to_another_size_than_to_that_of_its_own_mean(rng):
    sizes = np.random.default_rng(2).integers(3, 40, (300, 3))
    means = np.log(choose_sizes([drawn(sizes)], count=4, rng=rng))
    nearest = ((np.log(sizes)[:, None] - means) ** 2).sum(-1).argmin(1)
    for row in range(4):
        np.testing.assert_allclose(np.log(sizes)[nearest == row].mean(0), means[row])


def test_sizes_that_span_little_share_the_coarsest_layer_that_fits_the_smallest():
    (layer,) = plan_anchors(np.array([[9.0, 9, 9], [17, 17, 17]]), strides=STRIDES)
    assert (layer.level, layer.stride, len(layer.sizes)) == (1, (2, 2, 2), 2)


def test_sizes_that_span_over_a_factor_of_two_get_layers_of_their_own():
    fine, coarse = plan_anchors(np.array([[9.0, 9, 9], [20, 20, 20]]), strides=STRIDES)
    assert (fine.level, fine.sizes) == (1, ((9, 9, 9),))
    assert (coarse.level, coarse.sizes) == (2, ((20, 20, 20),))


def test_thin_objects_need_a_layer_that_is_fine_along_their_thin_axis():
    strides = [(1, 2, 2), (1, 4, 4), (2, 8, 8)]
    (layer,) = plan_anchors(np.array([[4.0, 60, 60]]), strides=strides)
    assert layer.level == 1


def test_what_fits_no_layer_goes_to_the_finest():
    (layer,) = plan_anchors(np.array([[2.0, 3, 3]]), strides=STRIDES)
    assert layer.level == 0


def test_anchors_are_centred_on_their_locations_the_sizes_fastest():
    layer = AnchorLayer(0, (1, 2, 4), ((1, 2, 4), (3, 2, 2)))
    anchors = place_anchors(layer, (2, 1, 3))
    assert anchors.shape == (12, 2, 3)
    assert anchors[0].tolist() == [[0, 0, 0], [1, 2, 4]]
    assert anchors[1].tolist() == [[-1, 0, 1], [2, 2, 3]]
    assert anchors[2].tolist() == [[0, 0, 4], [1, 2, 8]]  # x first
    assert anchors[6].tolist() == [[1, 0, 0], [2, 2, 4]]  # then, y having one, z


def test_the_anchors_of_a_planned_layer_overlap_a_box_of_their_size_by_half_wherever_it_lies(rng):
    (layer,) = plan_anchors(np.array([[8.0, 8, 9]]), strides=STRIDES)
    anchors = place_anchors(layer, (16, 16, 16))
    low = torch.from_numpy(rng.uniform(0, 20, (200, 1, 3))).float()
    boxes = torch.cat([low, low + torch.tensor(layer.sizes[0])], dim=1)
    assert box_iou(boxes, anchors).amax(dim=1).min() >= 0.5
