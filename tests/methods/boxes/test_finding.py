"""The search of whole volumes: tiles overlap by an object, and what they see is put together."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from napari_weak3d.methods.boxes.components import Rule
from napari_weak3d.methods.boxes.detections import Detections
from napari_weak3d.methods.boxes.finding import Search
from napari_weak3d.methods.boxes.geometry import clip_boxes, measure_volumes

SHAPE = (12, 150, 170)


@pytest.fixture
def finder(make_learner):
    finder = make_learner().finder()
    return replace(finder, config=finder.config.with_settings({"tile": 32}))


@pytest.fixture
def search(finder):
    noise = np.random.default_rng(0).normal(0, 1, (2, *SHAPE)).astype(np.float32)
    return Search(finder, noise, (2.0, 1.0, 1.0), 0.0)


def follow(job):
    return list(job)


def test_objects_on_the_borders_of_tiles_come_out_once_and_whole(search, monkeypatch):
    low = np.array([(z, y, x) for z in (1, 7) for y in range(1, 135, 15) for x in range(0, 155, 16)])
    truth = torch.from_numpy(np.stack([low, low + np.array([4, 13, 13])], axis=1)).float()

    def see(self, tile, number):
        """What a perfect network sees: the part of each box in the tile, from a third of it on."""
        parts = clip_boxes(truth, self._regions()[number])
        seen = parts[measure_volumes(parts) > measure_volumes(truth) / 3]
        return (), Detections(seen, torch.full((len(seen),), 0.9), torch.ones(len(seen)).long())

    monkeypatch.setattr(Search, "_forward", see)
    done = follow(search.find_boxes())
    assert len(done) == done[0][1] > 4
    found = sorted(search.merge().boxes.flatten(1).tolist())
    assert found == sorted(truth.flatten(1).tolist())


def test_the_larger_objects_fit_into_tiles_and_into_what_tiles_share(search):
    follow(search.find_boxes())
    largest = search.finder.scheme.largest
    regions = np.array(search._regions())
    for axis in (1, 2):
        sides = np.unique(regions[:, axis], axis=0)
        assert (sides[:, 1] - sides[:, 0]).min() >= 2 * largest[axis]
        assert (sides[:-1, 1] - sides[1:, 0]).min() >= largest[axis]


def test_masks_are_the_same_whether_features_were_kept_or_computed_again(search):
    follow(search.find_boxes())
    boxes = torch.tensor([[[2.0, 8, 6], [10, 21, 19]], [[2, 100, 120], [10, 114, 134]], [[-2, -3, 160], [5, 9, 175]]])
    follow(search.find_masks(boxes))
    kept = search.masks.clone()
    assert kept.shape == (3, *(2 * search.finder.net.roi_size,) * 3)
    search._features.clear()
    follow(search.find_masks(boxes))
    torch.testing.assert_close(search.masks, kept, atol=1e-5, rtol=0)


def test_when_memory_runs_out_for_masks_fewer_are_found_at_a_time(search, monkeypatch):
    follow(search.find_boxes())
    boxes = torch.tensor([[[2.0, 8, 6], [10, 21, 19]]]).repeat(20, 1, 1)
    follow(search.find_masks(boxes))
    at_once, counts, find = search.masks.clone(), [], Search._masks_of

    def run_out_above_four(self, features, rois):
        counts.append(len(rois))
        if len(rois) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return find(self, features, rois)

    monkeypatch.setattr(Search, "_masks_of", run_out_above_four)
    done = follow(search.find_masks(boxes))
    assert counts == [16, 8, *[4] * 5]
    assert done[-1] == (20, 20)
    torch.testing.assert_close(search.masks, at_once, atol=1e-5, rtol=0)


def test_maps_that_bear_witness_are_those_that_are_looked_for_alone(finder):
    noise = np.random.default_rng(0).normal(0, 1, (2, *SHAPE)).astype(np.float32)
    rule = Rule(inside=0.5, speck=0.1, typical_vox=100.0)
    search, alone = (
        Search(replace(finder, **with_rule), noise, (2.0, 1.0, 1.0), 0.0)
        for with_rule in ({"witness": rule}, {"rule": rule})
    )
    follow(search.find_boxes())
    follow(alone.find_maps())
    np.testing.assert_allclose(search.maps, alone.maps, atol=1e-5)
    before = search.maps.copy()
    search._features.clear()
    follow(search.find_masks(torch.tensor([[[2.0, 8, 6], [10, 21, 19]]])))
    np.testing.assert_array_equal(search.maps, before, "features that are computed again add nothing")


def test_masks_of_drawn_boxes_are_found_where_components_are_the_objects(finder):
    noise = np.random.default_rng(0).normal(0, 1, (2, *SHAPE)).astype(np.float32)
    with_rule = replace(finder, rule=Rule(inside=0.5, speck=0.1, typical_vox=100.0))
    with torch.no_grad():
        for head in with_rule.net.heads:
            for parameter in head.parameters():
                parameter.zero_()  # every anchor sees a box
    search, plain = Search(with_rule, noise, (2.0, 1.0, 1.0), 0.1), Search(finder, noise, (2.0, 1.0, 1.0), 0.1)
    boxes = torch.tensor([[[2.0, 8, 6], [10, 21, 19]]])
    for each in (search, plain):
        follow(each.find_boxes())
        follow(each.find_masks(boxes))
    torch.testing.assert_close(search.masks, plain.masks, atol=1e-5, rtol=0)


def test_when_memory_runs_out_for_maps_masks_are_found_in_the_smaller_tiles_too(finder, monkeypatch):
    search = Search(
        replace(finder, rule=Rule(0.5, 0.1, 100.0)), np.zeros((2, *SHAPE), np.float32), (2.0, 1.0, 1.0), 0.0
    )
    tell, calls = Search._tell_maps, []

    def run_out_once(self, batch):
        calls.append(batch.shape)
        if len(calls) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return tell(self, batch)

    monkeypatch.setattr(Search, "_tell_maps", run_out_once)
    follow(search.find_boxes())
    assert search._plan.tile == tuple(calls[-1][2:])
    assert np.prod(calls[-1]) < np.prod(calls[0])


def test_a_tile_has_not_too_many_voxels_as_long_as_objects_fit(finder):
    large = Search(
        replace(finder, config=finder.config.with_settings({"tile": 4096})),
        np.lib.stride_tricks.as_strided(np.zeros(1, np.float32), (2, 600, 2000, 2000), (0, 0, 0, 0)),
        (2.0, 1.0, 1.0),
        0.0,
    )
    assert 1 << 23 < np.prod(large._tile()) <= 1 << 24


def test_without_boxes_there_are_no_masks(search):
    follow(search.find_boxes())
    assert follow(search.find_masks(torch.zeros(0, 2, 3))) == []
    assert len(search.masks) == 0


def test_before_any_tile_nothing_is_found(search):
    assert len(search.merge()) == 0


def test_when_memory_runs_out_smaller_tiles_are_searched(search, monkeypatch):
    sizes, told = [], []
    forward = Search._forward

    def run_out_once(self, tile, number):
        sizes.append(self._plan.tile)
        if len(sizes) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, tile, number)

    monkeypatch.setattr(Search, "_forward", run_out_once)
    search.on_shrink = told.append
    follow(search.find_boxes())
    assert np.prod(sizes[1]) < np.prod(sizes[0])
    assert "Out of memory" in told[0]


def test_what_is_seen_of_the_mirror_beyond_the_volume_is_left_out(finder, monkeypatch):
    """Tiles are longer than a volume whose sides do not suit the network."""
    odd = Search(finder, np.zeros((2, 9, 30, 33), np.float32), (2.0, 1.0, 1.0), 0.0)
    boxes = torch.tensor([[[0.0, 20, 20], [6, 29, 32]], [[0, 22, 33], [6, 30, 38]], [[8, 2, 2], [13, 9, 9]]])
    seen = Detections(boxes, torch.tensor([0.9, 0.8, 0.7]), torch.ones(3).long())
    monkeypatch.setattr("napari_weak3d.methods.boxes.finding.read_detections", lambda *_, **__: seen)
    follow(odd.find_boxes())
    assert odd.merge().boxes.tolist() == [boxes[0].tolist()]
