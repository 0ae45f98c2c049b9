import torch

from napari_weak3d.methods.boxes.detections import Detections
from napari_weak3d.methods.boxes.geometry import clip_boxes, measure_volumes
from napari_weak3d.methods.boxes.merging import choose_tiles, merge_tiles

SHAPE = (8, 8, 40)


def strip(start, stop):
    return (0, 8), (0, 8), (start, stop)


TILES = [strip(0, 24), strip(16, 40)]


def box(start, stop):
    return [[1.0, 1, start], [7, 7, stop]]


def seen(*boxes, scores=None, classes=None):
    return Detections(
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 2, 3),
        torch.tensor(scores or [0.9] * len(boxes)),
        torch.tensor(classes or [1] * len(boxes)),
    )


def see(objects, tile, *, rng=None):
    """What a good detector sees of objects (N, 2, 3) in a tile; with ``rng``, off by up to half a voxel."""
    cut = clip_boxes(objects, tile)
    cut = cut[measure_volumes(cut) > 0]
    if rng is not None:
        cut = cut + torch.from_numpy(rng.uniform(-0.5, 0.5, cut.shape)).float()
    return Detections(cut, torch.full((len(cut),), 0.9), torch.ones(len(cut), dtype=torch.int64))


def merge(*found, tiles=TILES, shape=SHAPE):
    return merge_tiles(found, tiles=tiles, shape=shape, threshold=0.3)


def test_an_object_cut_by_one_tile_and_whole_in_the_other_comes_out_once_and_whole():
    merged = merge(seen(box(20, 24), scores=[0.95]), seen(box(20, 27), scores=[0.6]))
    assert merged.boxes.tolist() == [box(20, 27)]


def test_an_object_cut_by_both_tiles_is_joined():
    merged = merge(seen(box(12, 24), scores=[0.7]), seen(box(16, 30), scores=[0.8]))
    assert merged.boxes.tolist() == [box(12, 30)]
    torch.testing.assert_close(merged.scores, torch.tensor([0.8]))


def test_an_object_through_three_tiles_is_joined_over_all_of_them():
    tiles = [strip(0, 16), strip(12, 28), strip(24, 40)]
    merged = merge(seen(box(5, 16)), seen(box(12, 28)), seen(box(24, 35)), tiles=tiles)
    assert merged.boxes.tolist() == [box(5, 35)]


def test_an_object_that_both_tiles_see_whole_comes_out_once_by_the_better_of_its_boxes():
    merged = merge(seen(box(18, 22), scores=[0.6]), seen(box(18, 22.5), scores=[0.8]))
    assert merged.boxes.tolist() == [box(18, 22.5)]


def test_a_part_that_no_other_tile_saw_is_kept():
    merged = merge(seen(box(17, 24)), seen())
    assert merged.boxes.tolist() == [box(17, 24)]


def test_objects_side_by_side_on_a_border_are_not_joined():
    lower, upper = [[0.0, 0, 12], [4, 8, 30]], [[4.0, 0, 14], [8, 8, 28]]
    objects = torch.tensor([lower, upper])
    merged = merge(*(see(objects, tile) for tile in TILES))
    assert sorted(merged.boxes.tolist()) == [lower, upper]


def test_parts_of_two_classes_are_not_joined():
    merged = merge(seen(box(12, 24), classes=[1]), seen(box(16, 30), classes=[2]))
    assert sorted(merged.classes.tolist()) == [1, 2]


def test_an_object_at_the_face_of_the_volume_is_whole():
    merged = merge(seen(box(0, 6)), seen(box(35, 40)))
    assert len(merged) == 2


def test_boxes_are_cut_down_to_the_volume():
    merged = merge(seen(box(-3, 6)), seen())
    assert merged.boxes.tolist() == [box(0, 6)]


def test_nothing_found_is_nothing_merged():
    assert len(merge(seen(), seen())) == 0


def test_all_objects_of_a_tiled_volume_come_out_once_and_whole_whatever_borders_they_lie_on(rng):
    # A grid of 6 x 6 x 7 objects, 5 to 9 long, with gaps, under tiles of 24 that overlap by 10.
    starts = torch.cartesian_prod(*(torch.arange(0, 60, 11.0),) * 2, torch.arange(0, 70, 11.0))
    objects = torch.stack([starts, starts + torch.from_numpy(rng.uniform(5, 9, starts.shape)).float()], dim=1)
    shape = (66, 66, 80)
    sides = [[(at, min(at + 24, length)) for at in range(0, length - 10, 14)] for length in shape]
    tiles = [(z, y, x) for z in sides[0] for y in sides[1] for x in sides[2]]
    merged = merge(*(see(objects, tile, rng=rng) for tile in tiles), tiles=tiles, shape=shape)
    assert len(merged) == len(objects)
    nearest = torch.cdist(objects.flatten(1), merged.boxes.flatten(1), p=torch.inf).min(dim=1)
    assert nearest.values.max() <= 0.5
    assert len(nearest.indices.unique()) == len(objects)


def test_a_box_is_given_to_the_tile_that_has_most_of_it_or_has_it_deepest():
    boxes = torch.tensor([box(2, 9), box(17, 30), box(17, 22), box(20, 23.5)])
    assert choose_tiles(boxes, tiles=TILES).tolist() == [0, 1, 0, 1]
