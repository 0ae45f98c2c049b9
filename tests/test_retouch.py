"""Another threshold, a smallest object, holes: on drawn objects, and against plain versions voxel by voxel."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from skimage import measure

from napari_weak3d.errors import ConfigError
from napari_weak3d.retouch import Retouch, Retoucher
from napari_weak3d.retouch.blocks import cut_blocks
from napari_weak3d.retouch.components import find_components


def row(*values, dtype=np.int32):
    """One line of voxels, (1, 1, X)."""
    return np.array(values, dtype)[None, None]


def two_classes(*object_shares):
    """(2, 1, 1, X) probabilities of background and one class."""
    share = row(*object_shares, dtype=np.float16)
    return np.stack([1 - share, share])


def numbered(mask):
    return ndimage.label(mask)[0].astype(np.int32)


def neighbours(at, shape):
    for axis in range(3):
        for step in (-1, 1):
            near = (*at[:axis], at[axis] + step, *at[axis + 1 :])
            if 0 <= near[axis] < shape[axis]:
                yield near


def draw_shares(seed, *, n_classes, shape=(3, 5, 6)):
    """(K, Z, Y, X) random shares with plateaus and ties, rounded as stored ones are."""
    scores = np.random.default_rng(seed).integers(1, 9, (n_classes, *shape))
    return (scores / scores.sum(axis=0)).astype(np.float16)


def decide(shares, *, smallest):
    """What a prediction makes of shares: the connected voxels of each class, class by class."""
    classes = shares.astype(np.float32).argmax(axis=0)
    labels = np.zeros(classes.shape, np.int32)
    for value in range(1, len(shares)):
        components = numbered(classes == value)
        for number in range(1, components.max() + 1):
            if (components == number).sum() >= smallest:
                labels[components == number] = labels.max() + 1
    return labels


# Classes


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), n_classes=st.integers(2, 4), smallest=st.integers(0, 8))
def test_as_predicted_gives_the_labels_of_classes_again(seed, n_classes, smallest):
    shares = draw_shares(seed, n_classes=n_classes)
    labels = decide(shares, smallest=smallest)
    retoucher = Retoucher(labels, shares)
    np.testing.assert_array_equal(retoucher.apply(retoucher.as_predicted), labels)
    assert retoucher.as_predicted.smallest <= smallest


@pytest.mark.slow  # imports torch
@pytest.mark.parametrize("smallest", [0, 4])
def test_as_predicted_gives_the_labels_again_that_the_slices_method_makes(smallest):
    from napari_weak3d.methods.slices.segmenting import label_components

    shares = draw_shares(0, n_classes=3)
    labels = label_components(shares.astype(np.float32).argmax(axis=0) - 1, smallest=smallest)
    retoucher = Retoucher(labels, shares)
    np.testing.assert_array_equal(retoucher.apply(retoucher.as_predicted), labels)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), n_classes=st.integers(2, 4), percent=st.integers(1, 99))
def test_objects_of_classes_are_the_components_above_the_threshold(seed, n_classes, percent):
    shares = draw_shares(seed, n_classes=n_classes)
    labels = Retoucher(decide(shares, smallest=0), shares).apply(Retouch(percent / 100))
    exact = shares.astype(np.float32)
    best = exact[1:].argmax(axis=0)
    odds = exact[1:].max(axis=0) / (exact[1:].max(axis=0) + exact[0])
    above = odds > np.float32(percent / 100) if percent != 50 else exact.argmax(axis=0) > 0
    close = np.isclose(odds, percent / 100, atol=1e-5) & (percent != 50)
    if close.any():  # on the threshold itself rounding decides
        return
    expected = sum(np.where(above & (best == k), numbered(above & (best == k)) + 1000 * k, 0) for k in range(n_classes))
    pairs = {(int(one), int(other)) for one, other in zip(labels.ravel(), expected.ravel(), strict=True)}
    assert len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs})
    assert all((one == 0) == (other == 0) for one, other in pairs)


def test_a_threshold_is_exceeded_by_what_is_more_probable():
    shares = two_classes(0.25, 0.75, 0.5, 0.0, 0.875)
    retoucher = Retoucher(row(0, 1, 0, 0, 2), shares)
    assert retoucher.apply(Retouch(0.2)).tolist() == [[[1, 1, 1, 0, 2]]]
    assert retoucher.apply(Retouch(0.25)).tolist() == [[[0, 1, 1, 0, 2]]]
    assert retoucher.apply(Retouch(0.5)).tolist() == [[[0, 1, 0, 0, 2]]]
    assert retoucher.apply(Retouch(0.75)).tolist() == [[[0, 0, 0, 0, 2]]]


def test_the_half_is_decided_by_the_stored_shares_and_ties_are_background():
    above_half = np.nextafter(np.float16(0.5), np.float16(1))
    shares = np.stack([row(0.5, 0.5, 0.49976, dtype=np.float16), row(0.5, above_half, 0.5, dtype=np.float16)])
    assert Retoucher(row(0, 1, 1), shares).apply(Retouch()).tolist() == [[[0, 1, 1]]]


def test_what_two_classes_share_does_not_count_against_them():
    shares = np.array([0.3, 0.36, 0.34], np.float16)[:, None, None, None]
    retoucher = Retoucher(row(1), shares)
    assert retoucher.apply(Retouch(0.54)).tolist() == [[[1]]]  # 0.36 / (0.36 + 0.3) = 0.545
    assert retoucher.apply(Retouch(0.55)).tolist() == [[[0]]]


def test_objects_of_different_classes_do_not_join():
    shares = np.array([[0, 0.6, 0.6, 0], [1, 0.4, 0.1, 0], [0, 0, 0.3, 1]], np.float16)[:, None, None]
    assert Retoucher(row(4, 0, 0, 9), shares).apply(Retouch(0.2)).tolist() == [[[4, 4, 9, 9]]]


def test_joined_components_take_the_id_of_the_largest():
    retoucher = Retoucher(row(7, 0, 3, 3), two_classes(0.9, 0.4, 0.9, 0.9))
    assert retoucher.apply(Retouch(0.3)).tolist() == [[[3, 3, 3, 3]]]


def test_of_the_parts_of_a_component_the_largest_keeps_the_id_and_the_others_get_new_ones():
    retoucher = Retoucher(row(5, 5, 5, 5, 0, 2), two_classes(0.9, 0.6, 0.9, 0.9, 0, 0.9))
    assert retoucher.apply(Retouch(0.7)).tolist() == [[[6, 0, 5, 5, 0, 2]]]


def test_components_that_a_lower_threshold_brings_get_new_ids():
    retoucher = Retoucher(row(0, 0, 8), two_classes(0.4, 0, 0.9))
    assert retoucher.apply(Retouch(0.3)).tolist() == [[[9, 0, 8]]]


def test_what_the_prediction_left_out_as_too_small_comes_back_on_request():
    retoucher = Retoucher(row(1, 1, 1, 0, 0, 0, 0), two_classes(0.9, 0.9, 0.9, 0, 0.9, 0.9, 0))
    assert retoucher.as_predicted == Retouch(smallest=3)
    assert retoucher.apply(Retouch(smallest=2)).tolist() == [[[1, 1, 1, 0, 2, 2, 0]]]


# Objects


def plain_grow(labels, codes, *, step):
    """Flood step by step, one ring of voxels at a time; of several owners the highest wins."""
    owner = labels.copy()
    for code in range(50, step, -1):
        while True:
            won = {}
            for at in np.ndindex(labels.shape):
                if owner[at] == 0 and code <= codes[at] <= 50:
                    best = max(int(owner[near]) for near in neighbours(at, labels.shape))
                    if best:
                        won[at] = best
            if not won:
                break
            for at, value in won.items():
                owner[at] = value
    return owner


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), step=st.integers(30, 49))
def test_growing_is_a_watershed_in_steps(seed, step):
    rng = np.random.default_rng(seed)
    codes = rng.integers(25, 60, (3, 5, 6))
    codes[rng.random(codes.shape) < 0.3] = 50  # plateaus
    labels = np.where(codes > 57, rng.integers(1, 5, codes.shape), 0).astype(np.int32)
    probabilities = ((codes - 0.5) / 100).astype(np.float16)[None]
    retoucher = Retoucher(labels, probabilities)
    at_once = retoucher.apply(Retouch(step / 100))
    np.testing.assert_array_equal(at_once, plain_grow(labels, codes, step=step))
    by_and_by = Retoucher(labels, probabilities)
    for earlier in (49, step, 40, 30):
        by_and_by.apply(Retouch(earlier / 100))
    np.testing.assert_array_equal(by_and_by.apply(Retouch(step / 100)), at_once)


def test_two_objects_that_grow_meet_where_the_probability_is_lowest():
    labels = row(1, 0, 0, 0, 0, 0, 2)
    probabilities = row(0.9, 0.4, 0.4, 0.4, 0.1, 0.4, 0.9, dtype=np.float16)[None]
    retoucher = Retoucher(labels, probabilities)
    assert retoucher.apply(Retouch(0.3)).tolist() == [[[1, 1, 1, 1, 0, 2, 2]]]
    assert retoucher.apply(Retouch(0.05)).tolist() == [[[1, 1, 1, 1, 2, 2, 2]]]
    assert retoucher.apply(Retouch(0.5)).tolist() == labels.tolist()


def test_objects_shrink_and_of_one_that_falls_apart_the_largest_part_stays():
    labels = row(4, 4, 4, 4, 4, 6, 6)
    probabilities = row(0.9, 0.9, 0.6, 0.9, 0.6, 0.6, 0.9, dtype=np.float16)[None]
    assert Retoucher(labels, probabilities).apply(Retouch(0.7)).tolist() == [[[4, 4, 0, 0, 0, 0, 6]]]


def test_an_object_painted_in_two_places_keeps_both():
    labels = row(3, 0, 3, 3)
    probabilities = row(1, 0, 1, 1, dtype=np.float16)[None]
    assert Retoucher(labels, probabilities).apply(Retouch(0.99)).tolist() == labels.tolist()


def test_what_was_decided_against_stays_out_when_objects_grow():
    labels = row(1, 0, 0, 0)
    probabilities = row(0.9, 0.4, 0.8, 0.4, dtype=np.float16)[None]
    assert Retoucher(labels, probabilities).apply(Retouch(0.2)).tolist() == [[[1, 1, 0, 0]]]


@settings(max_examples=20)
@given(seed=st.integers(0, 10_000), low=st.integers(1, 50), high=st.integers(1, 99))
def test_objects_only_grow_when_the_threshold_falls_to_the_half_and_below(seed, low, high):
    low, high = sorted((low, high))
    rng = np.random.default_rng(seed)
    probabilities = rng.random((1, 3, 5, 6)).astype(np.float16)
    labels = np.where(probabilities[0] > 0.5, rng.integers(1, 4, (3, 5, 6)), 0).astype(np.int32)
    retoucher = Retoucher(labels, probabilities)
    wide, narrow = retoucher.apply(Retouch(low / 100)), retoucher.apply(Retouch(high / 100))
    assert (wide[narrow > 0] == narrow[narrow > 0]).all()


def test_as_predicted_gives_the_labels_of_objects_again_even_where_rounding_puts_them_at_the_half():
    labels = row(1, 2, 0)
    retoucher = Retoucher(labels, row(0.5, 0.9, 0.9, dtype=np.float16)[None])
    assert retoucher.as_predicted == Retouch()
    assert retoucher.apply(Retouch()).tolist() == labels.tolist()


# Smallest object and holes


def test_too_small_objects_leave_and_the_others_keep_their_ids():
    labels = row(9, 0, 2, 2, 0, 5, 5, 5)
    retoucher = Retoucher(labels, None)
    assert not retoucher.has_threshold
    assert retoucher.apply(Retouch(0.9, smallest=2)).tolist() == [[[0, 0, 2, 2, 0, 5, 5, 5]]]
    assert retoucher.apply(Retouch(smallest=4)).tolist() == np.zeros((1, 1, 8), int).tolist()


def test_unsure_objects_leave_and_those_without_a_score_stay():
    retoucher = Retoucher(row(9, 0, 2, 0, 5, 5), None, scores={9: 0.4, 2: 0.7})
    assert retoucher.apply(Retouch(least_score=0.4)).tolist() == [[[9, 0, 2, 0, 5, 5]]]
    assert retoucher.apply(Retouch(least_score=0.5)).tolist() == [[[0, 0, 2, 0, 5, 5]]]
    assert retoucher.apply(Retouch(least_score=1.0, smallest=2)).tolist() == [[[0, 0, 0, 0, 5, 5]]]
    assert retoucher.apply(Retouch()).tolist() == [[[9, 0, 2, 0, 5, 5]]]


def ball(shape=(7, 9, 9), *, radius=3.2):
    z, y, x = np.indices(shape) - (np.array(shape) // 2)[:, None, None, None]
    return np.where(z**2 + y**2 + x**2 <= radius**2, 3, 0).astype(np.int32)


def test_a_closed_hole_is_filled_either_way():
    full = ball()
    hollow = full.copy()
    hollow[3, 4, 3:6] = 0
    for holes in ("closed", "planes"):
        np.testing.assert_array_equal(Retoucher(hollow, None).apply(Retouch(fill_holes=holes)), full)
    np.testing.assert_array_equal(Retoucher(hollow, None).apply(Retouch()), hollow)


def test_a_tunnel_along_z_is_filled_in_planes_only():
    labels = np.zeros((4, 5, 5), np.int32)
    labels[:, 1:4, 1:4] = 2
    tunnel = labels.copy()
    tunnel[:, 2, 2] = 0
    np.testing.assert_array_equal(Retoucher(tunnel, None).apply(Retouch(fill_holes="closed")), tunnel)
    np.testing.assert_array_equal(Retoucher(tunnel, None).apply(Retouch(fill_holes="planes")), labels)


def test_gaps_between_two_objects_and_open_bays_stay():
    labels = np.zeros((1, 5, 8), np.int32)
    labels[0, 1:4, 1:4] = 1
    labels[0, 1:4, 4:7] = 2
    labels[0, 2, 3] = 0  # between 1 and 2
    labels[0, 1:3, 5] = 0  # open to the top
    for holes in ("closed", "planes"):
        np.testing.assert_array_equal(Retoucher(labels, None).apply(Retouch(fill_holes=holes)), labels)


def plain_fill(labels, *, only_in_plane):
    filled = labels.copy()
    pieces = [labels[z : z + 1] for z in range(len(labels))] if only_in_plane else [labels]
    for number, piece in enumerate(pieces):
        gaps = numbered(piece == 0)
        for value in range(1, gaps.max() + 1):
            voxels = [tuple(at) for at in np.argwhere(gaps == value)]
            around = {int(piece[near]) for at in voxels for near in neighbours(at, piece.shape)} - {0}
            axes = range(1, 3) if only_in_plane else range(3)
            at_edge = any(at[axis] in (0, piece.shape[axis] - 1) for at in voxels for axis in axes)
            if len(around) == 1 and not at_edge:
                (owner,) = around
                for z, y, x in voxels:
                    filled[z + number, y, x] = owner  # of the whole volume the number is 0
    return filled


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), holes=st.sampled_from(["closed", "planes"]), n=st.integers(1, 3))
def test_filled_holes_are_those_of_a_plain_search(seed, holes, n):
    rng = np.random.default_rng(seed)
    labels = (rng.integers(1, n + 1, (4, 6, 6)) * (rng.random((4, 6, 6)) < 0.8)).astype(np.int32)
    result = Retoucher(labels, None).apply(Retouch(fill_holes=holes))
    np.testing.assert_array_equal(result, plain_fill(labels, only_in_plane=holes == "planes"))


def test_specks_leave_before_holes_are_filled():
    labels = np.full((1, 5, 5), 2, np.int32)
    labels[0, 1:4, 1:4] = 0
    labels[0, 2, 2] = 1
    result = Retoucher(labels, None).apply(Retouch(smallest=2, fill_holes="planes"))
    np.testing.assert_array_equal(result, np.full((1, 5, 5), 2))


# In several blocks at a time


def largest_first(sizes):
    return sorted(sizes, key=lambda key: -sizes[key])


def plain_classes(labels, shares, *, step):
    """Components of each class, as one numbering of the whole volume, under the ids of the old objects they are of."""
    exact = shares.astype(np.float32)
    best = exact[1:].argmax(axis=0) + 1
    odds = exact[1:].max(axis=0) / np.maximum(exact[1:].max(axis=0) + exact[0], np.float32(1e-6))
    classes = np.where(np.ceil(odds * np.float32(100)) > step, best, 0)
    pieces = measure.label(classes, connectivity=1)
    overlaps = {}
    for piece, old in zip(pieces.ravel().tolist(), labels.ravel().tolist(), strict=True):
        if piece and old:
            overlaps[piece, old] = overlaps.get((piece, old), 0) + 1
    counted = pieces if step >= 50 else labels
    sizes = {pair: (counted == pair[0 if step >= 50 else 1]).sum() for pair in sorted(overlaps)}
    ids = {}
    for piece, old in largest_first(sizes):
        if piece not in ids and old not in ids.values():
            ids[piece] = old
    decided = np.zeros_like(labels)
    new = labels.max() + 1
    for piece in range(1, pieces.max() + 1):
        decided[pieces == piece] = ids.get(piece, new)
        new += piece not in ids
    return decided


def plain_objects(labels, codes, *, step):
    """Below the half a flood; above it the largest piece that is left of each piece of an object."""
    if step <= 50:
        return plain_grow(labels, codes, step=step)
    before = measure.label(labels, connectivity=1)
    now = measure.label(np.where(codes > step, labels, 0), connectivity=1)
    decided = np.zeros_like(labels)
    for piece in range(1, before.max() + 1):
        sizes = {each: (now == each).sum() for each in np.unique(now[(before == piece) & (now > 0)]).tolist()}
        for largest in largest_first(sizes)[:1]:
            decided[now == largest] = labels[now == largest]
    return decided


def plain_apply(decided, how):
    """Too small objects leave, then holes are filled."""
    kept = np.where(np.isin(decided, np.flatnonzero(np.bincount(decided.ravel()) >= how.smallest)), decided, 0)
    return kept if how.fill_holes == "keep" else plain_fill(kept, only_in_plane=how.fill_holes == "planes")


ways = st.builds(
    Retouch,
    st.integers(10, 90).map(lambda percent: percent / 100),
    st.integers(0, 9),
    st.sampled_from(["keep", "closed", "planes"]),
)


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), n_classes=st.integers(2, 3), n_blocks=st.integers(1, 6), how=ways)
def test_classes_decided_in_blocks_are_as_decided_at_once(seed, n_classes, n_blocks, how):
    shares = draw_shares(seed, n_classes=n_classes, shape=(6, 5, 7))
    labels = decide(shares, smallest=2)
    expected = plain_apply(plain_classes(labels, shares, step=round(100 * how.threshold)), how)
    np.testing.assert_array_equal(Retoucher(labels, shares, n_blocks=n_blocks).apply(how), expected)


@settings(max_examples=60)
@given(seed=st.integers(0, 10_000), n_blocks=st.integers(1, 6), how=ways)
def test_objects_decided_in_blocks_are_as_decided_at_once(seed, n_blocks, how):
    rng = np.random.default_rng(seed)
    codes = rng.integers(1, 100, (6, 5, 7))
    labels = np.where(codes > 50, rng.integers(1, 4, codes.shape), 0).astype(np.int32)
    retoucher = Retoucher(labels, ((codes - 0.5) / 100).astype(np.float16)[None], n_blocks=n_blocks)
    expected = plain_apply(plain_objects(labels, codes, step=round(100 * how.threshold)), how)
    np.testing.assert_array_equal(retoucher.apply(how), expected)


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), density=st.floats(0.1, 0.9), n_blocks=st.integers(1, 8))
def test_components_of_blocks_are_numbered_as_those_of_the_whole(seed, density, n_blocks):
    rng = np.random.default_rng(seed)
    mask = rng.random((8, 6, 5)) < density
    values = np.where(mask, rng.integers(1, 3, mask.shape), 0).astype(np.uint8)
    blocks = cut_blocks(mask.shape, count=n_blocks)
    for volume, whole in ((mask, numbered(mask)), (values, measure.label(values, connectivity=1))):
        found = find_components(lambda block, volume=volume: volume[block], mask.shape, blocks=blocks)
        np.testing.assert_array_equal(found.of_part[found.parts], whole)


@pytest.mark.parametrize("count", [None, 1, 3, 99])
def test_blocks_cover_a_volume_plane_by_plane(count):
    blocks = cut_blocks((7, 4, 4), count=count)
    assert [z for block in blocks for z in range(block.start, block.stop)] == list(range(7))
    assert all(block.stop > block.start for block in blocks)


# A slice at once


@settings(max_examples=40)
@given(seed=st.integers(0, 10_000), which=st.tuples(st.integers(0, 2), st.integers(0, 4)), percent=st.integers(50, 90))
def test_a_sketch_of_objects_that_shrink_holds_what_stays_of_them(seed, which, percent):
    rng = np.random.default_rng(seed)
    probabilities = rng.random((1, 6, 5, 7)).astype(np.float16)
    labels = np.where(probabilities[0] > 0.5, rng.integers(1, 4, (6, 5, 7)), 0).astype(np.int32)
    retoucher, how = Retoucher(labels, probabilities), Retouch(percent / 100)
    sketched, whole = retoucher.sketch(how, which), np.take(retoucher.apply(how), which[1], axis=which[0])
    assert (sketched[whole > 0] == whole[whole > 0]).all()
    assert not sketched[np.take(labels, which[1], axis=which[0]) == 0].any()


def test_a_sketch_is_the_slice_as_it_will_be_where_the_volume_has_but_one():
    ring = row(0, 0, 0, 2, 2, 2, 0, 3)[0]
    labels = np.stack([ring * 0, ring, ring * np.array([1, 1, 1, 1, 0, 1, 1, 1]), ring, ring * 0], axis=1)
    share = np.where(labels == 3, 0.6, 0.9) * (labels > 0)
    share[0, 2, 2] = 0.4
    for how in (Retouch(0.3), Retouch(0.7), Retouch(0.3, fill_holes="planes"), Retouch(smallest=5), Retouch(0.4, 5)):
        retoucher = Retoucher(labels, share.astype(np.float16)[None])
        retoucher.apply(Retouch())
        np.testing.assert_array_equal(retoucher.sketch(how, (0, 0)), retoucher.apply(how)[0])


# Edges


def test_the_result_is_the_callers_own():
    labels = row(1, 1, 0)
    retoucher = Retoucher(labels, None)
    retoucher.apply(Retouch())[:] = 8
    assert retoucher.apply(Retouch()).tolist() == labels.tolist() == [[[1, 1, 0]]]


@pytest.mark.parametrize("n_channels", [0, 1, 2, 3])
@pytest.mark.parametrize("settings_", [Retouch(), Retouch(0.2), Retouch(0.8), Retouch(0.3, 5, "closed")])
def test_background_alone_stays_background(n_channels, settings_):
    labels = np.zeros((2, 3, 4), np.int32)
    shares = np.zeros((n_channels, 2, 3, 4), np.float16) if n_channels else None
    if n_channels > 1:
        shares[0] = 1
    result = Retoucher(labels, shares).apply(settings_)
    assert (result.dtype, result.shape, int(result.max())) == (np.int32, (2, 3, 4), 0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("threshold", 0.0),
        ("threshold", 1.0),
        ("threshold", float("nan")),
        ("smallest", -1),
        ("fill_holes", "some"),
        ("least_score", 1.5),
    ],
)
def test_settings_out_of_bounds_are_refused_by_name(field, value):
    with pytest.raises(ConfigError) as caught:
        Retouch(**{field: value})
    assert (caught.value.where, str(value) in caught.value.message) == (field, True)
