from __future__ import annotations

from functools import partial
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from napari_weak3d.errors import ConfigError
from napari_weak3d.nn.paper_unet import PaperUNet, freeze_statistics, valid_input_shape
from napari_weak3d.nn.tile_plan import plan_tiles, plan_valid_tiles
from napari_weak3d.nn.tiles import predict_tiles, predict_volume, read_box

lengths = st.integers(1, 70)
shapes = st.tuples(lengths, lengths, lengths)
quick = settings(derandomize=True, deadline=None, max_examples=60)


def sum_of_weights(plan) -> np.ndarray:
    total = np.zeros(plan.shape)
    for tile in plan:
        z, y, x = (along.weights for along in tile)
        total[tuple(slice(along.lo, along.hi) for along in tile)] += np.einsum("z,y,x->zyx", z, y, x)
    return total


@quick
@given(
    shape=shapes,
    tile=st.tuples(*[st.integers(1, 40)] * 3),
    overlap=st.tuples(*[st.integers(0, 30)] * 3),
    multiple=st.tuples(*[st.sampled_from([1, 2, 4, 8])] * 3),
)
def test_the_weights_of_padded_tiles_add_up_to_one_at_every_voxel(shape, tile, overlap, multiple):
    plan = plan_tiles(shape, tile=tile, overlap=overlap, multiple=multiple)
    np.testing.assert_allclose(sum_of_weights(plan), 1, atol=1e-5)
    assert all(size % step == 0 for size, step in zip(plan.tile, multiple, strict=True))
    for axis, size in zip(plan.axes, plan.tile, strict=True):
        for along in axis:
            assert along.start <= along.lo < along.hi <= along.start + size
            assert along.weights.min() > 0


@quick
@given(shape=shapes, tile=st.tuples(*[st.integers(1, 160)] * 3))
def test_every_voxel_is_written_once_by_a_valid_tile(shape, tile):
    plan = plan_valid_tiles(shape, tile=tile)
    assert (sum_of_weights(plan) == 1).all()
    assert plan.tile == valid_input_shape(tuple(size - 88 for size in plan.tile))
    for axis, size in zip(plan.axes, plan.tile, strict=True):
        for along in axis:
            assert (along.start + 44) % 8 == 0
            assert along.start + 44 <= along.lo < along.hi <= along.start + size - 44


@quick
@given(length=st.integers(1, 60), largest=st.integers(1, 12), overlap=st.integers(0, 14))
def test_the_fewest_tiles_or_one_more_need_the_fewest_voxels(length, largest, overlap):
    plan = plan_tiles((length, 1, 1), tile=(largest, 1, 1), overlap=(overlap, 0, 0), multiple=(1, 1, 1))
    shared = min(overlap, largest // 2)
    covering = [
        (count, size)
        for size in range(1, largest + 1)
        for count in range(1, length + 1)
        if count * size - (count - 1) * shared >= length
    ]
    fewest = min(count for count, _ in covering)
    assert plan.n_voxels == min(count * size for count, size in covering if count <= fewest + 1)


def test_three_tiles_are_taken_for_two_where_they_need_fewer_voxels():
    plan = plan_tiles((9, 1, 1), tile=(5, 1, 1), overlap=(0, 0, 0), multiple=(1, 1, 1))
    assert (len(plan), plan.tile) == (3, (3, 1, 1))


@quick
@given(
    length=st.integers(1, 200), tile=st.integers(1, 12), overlap=st.integers(0, 40), multiple=st.sampled_from([2, 8])
)
def test_padded_tiles_begin_where_pooling_begins_and_overlap_as_asked(length, tile, overlap, multiple):
    plan = plan_tiles((1, length, 1), tile=(1, tile * multiple, 1), overlap=(0, overlap, 0), multiple=(1, multiple, 1))
    starts = [along.start for along in plan.axes[1]]
    assert all(start % multiple == 0 for start in starts)
    shared = min(overlap, tile // 2 * multiple)
    assert all(before + plan.tile[1] - after >= shared for before, after in pairwise(starts))


def test_an_axis_that_fits_is_one_tile_and_the_others_are_spread_evenly():
    plan = plan_tiles((5, 64, 70), tile=(32, 64, 64), overlap=(8, 8, 8), multiple=(4, 8, 8))
    assert plan.tile == (8, 64, 40)
    assert [[along.start for along in axis] for axis in plan.axes] == [[0], [0], [0, 32]]
    assert len(plan) == 2


def test_overlaps_are_dropped_at_the_ends_and_blended_in_the_middle():
    plan = plan_tiles((1, 1, 24), tile=(1, 1, 16), overlap=(0, 0, 8), multiple=(1, 1, 1))
    left, right = plan.axes[2]
    assert (left.lo, left.hi, right.lo, right.hi) == (0, 14, 10, 24)
    np.testing.assert_allclose(right.weights[:5], [0.2, 0.4, 0.6, 0.8, 1])


def test_the_papers_tile_moves_by_24_40_40():
    plan = plan_valid_tiles((60, 124, 124), tile=(116, 132, 132))
    assert plan.tile == (116, 132, 132)
    assert [[along.lo for along in axis] for axis in plan.axes] == [[0, 24, 48], [0, 40, 80], [0, 40, 80]]


@quick
@given(shape=st.tuples(*[st.integers(1, 6)] * 3), start=st.tuples(*[st.integers(-9, 9)] * 3), size=st.integers(1, 12))
def test_a_box_beyond_the_volume_is_mirrored_as_numpy_pads(shape, start, size):
    source = np.arange(2 * np.prod(shape), dtype=np.int16).reshape(2, *shape)
    box = np.empty((2, size, size, size), np.float32)
    read_box(source, start, out=box)
    around = [(max(0, -first), max(0, first + size - length)) for first, length in zip(start, shape, strict=True)]
    padded = np.pad(source, [(0, 0), *around], mode="reflect")
    inside = tuple(
        slice(first + before, first + before + size) for first, (before, _) in zip(start, around, strict=True)
    )
    np.testing.assert_array_equal(box, padded[(slice(None), *inside)])


class OnlySlices:
    """A lazy source: hands out what is sliced, and remembers how much that was."""

    def __init__(self, data):
        self._data, self.shape, self.largest = data, data.shape, 0

    def __getitem__(self, key):
        part = self._data[key]
        self.largest = max(self.largest, part.size)
        return part


def identity(tiles):
    return tiles


def run(predict, source, *, planner, tile, **options):
    out = np.full(source.shape, np.nan, np.float32)
    progress = list(predict_volume(predict, source, out=out, planner=planner, tile=tile, **options))
    return out, progress


overlapping = partial(plan_tiles, overlap=(4, 4, 4), multiple=(4, 4, 4))


@pytest.mark.parametrize("shape", [(1, 40, 40), (3, 5, 7), (1, 1, 1), (17, 33, 20)])
@pytest.mark.parametrize("batch", [1, 3])
def test_the_identity_gives_back_any_volume(shape, batch):
    source = np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    out, progress = run(identity, source, planner=overlapping, tile=(16, 16, 16), batch=batch)
    np.testing.assert_allclose(out, source, atol=1e-6)
    assert progress[-1][0] == progress[-1][1]
    assert [done for done, _ in progress] == sorted({done for done, _ in progress})


def test_half_precision_scores_and_output_are_taken():
    source = np.random.default_rng(0).normal(size=(1, 9, 20, 20)).astype(np.float32)
    out = np.empty(source.shape, np.float16)
    plan = overlapping(source.shape[1:], tile=(16, 16, 16))
    for _ in predict_tiles(lambda tiles: tiles.bfloat16(), source, plan=plan, out=out):
        pass
    np.testing.assert_allclose(out, source, atol=0.02)


def test_a_lazy_source_is_read_tile_by_tile():
    source = OnlySlices(np.ones((1, 8, 64, 64), np.uint8))
    run(identity, source, planner=overlapping, tile=(8, 16, 16))
    assert source.largest <= 8 * 16 * 16


def test_pulling_stops_the_work_and_leaves_no_mode_behind():
    calls = []
    source = np.ones((1, 8, 64, 64), np.float32)
    plan = overlapping(source.shape[1:], tile=(8, 16, 16))
    job = predict_tiles(lambda tiles: calls.append(1) or tiles, source, plan=plan, out=np.empty_like(source))
    assert next(job) == (1, len(plan))
    assert not torch.is_inference_mode_enabled()
    job.close()
    assert len(calls) == 1


def test_an_output_of_another_shape_is_refused():
    plan = overlapping((4, 4, 4), tile=(4, 4, 4))
    with pytest.raises(ValueError, match="planned for"):
        next(predict_tiles(identity, np.ones((1, 4, 4, 4)), plan=plan, out=np.empty((1, 4, 4, 5))))


class LimitedMemory:
    """The identity, on a machine with room for so many voxels."""

    def __init__(self, voxels):
        self.voxels = voxels

    def __call__(self, tiles):
        if tiles.numel() > self.voxels:
            raise torch.OutOfMemoryError("no room")
        return tiles


def test_when_memory_runs_out_batches_then_tiles_are_halved_and_the_result_is_the_same():
    source = np.random.default_rng(0).normal(size=(1, 16, 32, 32)).astype(np.float32)
    said = []
    out, progress = run(
        LimitedMemory(2048), source, planner=overlapping, tile=(16, 16, 16), batch=2, on_shrink=said.append
    )
    np.testing.assert_allclose(out, source, atol=1e-6)
    assert said[0] == "Out of memory with 2 tiles at a time: going on with 1"
    assert said[1] == "Out of memory with tiles of 16 x 16 x 16 voxels: going on with 8 x 16 x 16"
    assert progress[-1][0] == progress[-1][1]


def test_when_even_the_smallest_tile_does_not_fit_the_user_is_told_what_to_do():
    with pytest.raises(ConfigError, match=r"smallest tile, 4 x 4 x 4 voxels: close other programs"):
        run(LimitedMemory(7), np.ones((1, 8, 8, 8)), planner=overlapping, tile=(8, 8, 8))


def test_other_errors_of_the_network_are_not_hidden():
    def broken(tiles):
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        run(broken, np.ones((1, 8, 8, 8)), planner=overlapping, tile=(8, 8, 8))


class SmallUNet(nn.Module):
    """Padded, two levels, no normalisation; it sees 11 voxels to each side."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv3d(1, 8, 3, padding=1)
        self.deep = nn.Sequential(nn.Conv3d(8, 16, 3, padding=1), nn.ReLU(), nn.Conv3d(16, 8, 3, padding=1), nn.ReLU())
        self.last = nn.Conv3d(16, 3, 3, padding=1)

    def forward(self, image):
        fine = torch.relu(self.first(image))
        deep = nn.functional.interpolate(self.deep(nn.functional.max_pool3d(fine, 2)), scale_factor=2)
        return self.last(torch.cat([fine, deep], dim=1)).softmax(dim=1)


def mean_jump(image, *, at):
    """Mean difference across the faces (axis, index) against the mean over all pairs of neighbours."""
    faces = [np.abs(np.take(image, i, axis) - np.take(image, i - 1, axis)).ravel() for axis, i in at]
    everywhere = [np.abs(np.diff(image, axis=axis)).ravel() for axis in (1, 2, 3)]
    return np.concatenate(faces).mean() / np.concatenate(everywhere).mean()


@pytest.mark.slow
def test_tiles_of_a_padded_network_show_no_seam_and_the_classes_of_one_pass():
    source = np.random.default_rng(0).normal(size=(1, 40, 72, 80)).astype(np.float32)
    net = SmallUNet()
    planner = partial(plan_tiles, overlap=(12, 12, 12), multiple=(2, 2, 2))
    out = np.empty((3, *source.shape[1:]), np.float32)
    plan = planner(source.shape[1:], tile=(24, 32, 32))
    assert len(plan) > 8
    for _ in predict_tiles(net, source, plan=plan, out=out):
        pass
    with torch.no_grad():
        whole = net(torch.from_numpy(source)[None])[0].numpy()
    faces = {(axis, i) for axis, tiles in enumerate(plan.axes, start=1) for t in tiles for i in (t.lo, t.hi)}
    inner = [(axis, i) for axis, i in faces if 0 < i < source.shape[axis]]
    assert mean_jump(out, at=inner) <= 1.05 * mean_jump(whole, at=inner)
    assert (out.argmax(0) == whole.argmax(0)).mean() >= 0.995


@pytest.mark.slow
def test_tiles_of_the_unpadded_network_equal_one_pass_with_frozen_statistics():
    torch.manual_seed(0)
    net = PaperUNet(1, 2, width=2)
    shape = (20, 27, 9)
    source = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
    whole = plan_valid_tiles(shape, tile=(300, 300, 300))
    tiled = plan_valid_tiles(shape, tile=(100, 108, 100))
    assert (len(whole), len(tiled)) == (1, 4)
    everything = np.empty((1, *whole.tile), np.float32)
    read_box(source, (-44, -44, -44), out=everything)
    freeze_statistics(net, [torch.from_numpy(everything)[None]])
    results = []
    for plan in (whole, tiled):
        out = np.empty((2, *shape), np.float32)
        list(predict_tiles(net, source, plan=plan, out=out))
        results.append(out)
    np.testing.assert_allclose(results[1], results[0], atol=1e-4)
