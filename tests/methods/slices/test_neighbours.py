"""What paint says of the slices between: distances by brute force, interpolation, and evidence that can be counted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_weak3d.methods.slices.neighbours import (
    Gap,
    Stack,
    add_evidence,
    choose_largest,
    count_likelihoods,
    find_gap,
    interpolate,
    look_up,
    signed_distances,
)

EVEN = (1.0, 1.0)


def brute_distances(classes, *, n_classes, spacing):
    """Pixel by pixel: to the centre of the nearest pixel on the other side, less half a pixel."""
    points = np.argwhere(np.ones(classes.shape, bool)) * np.array(spacing) / min(spacing)
    flat = classes.ravel()
    apart = np.linalg.norm(points[:, None] - points[None], axis=-1)
    found = np.empty((n_classes, flat.size))
    for index in range(n_classes):
        inside = flat == index
        for at in range(flat.size):
            others = apart[at][inside != inside[at]]
            nearest = others.min() - 0.5 if others.size else 30
            found[index, at] = min(nearest, 30) * (1 if inside[at] else -1)
    return found.reshape(n_classes, *classes.shape)


@settings(max_examples=25)
@given(
    seed=st.integers(0, 10_000),
    shape=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    spacing=st.sampled_from([(1.0, 1.0), (2.0, 0.5), (0.3, 0.9)]),
)
def test_signed_distances_equal_those_of_a_loop_over_all_pairs(seed, shape, spacing):
    classes = np.random.default_rng(seed).integers(0, 3, shape)
    found = signed_distances(classes, n_classes=3, spacing=spacing)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, brute_distances(classes, n_classes=3, spacing=spacing), atol=1e-4)


@pytest.mark.parametrize(
    ("plane", "known", "gap"),
    [
        (5, [2, 9], Gap(3, 4)),
        (1, [2, 9], Gap(None, 1)),
        (11, [2, 9], Gap(2, None)),
        (2, [2, 9], Gap(None, 7)),
        (3, [], Gap(None, None)),
    ],
)
def test_the_gap_is_measured_to_the_nearest_known_plane_on_each_side(plane, known, gap):
    assert find_gap(plane, known) == gap


def disc(radius, *, side=41):
    y, x = np.ogrid[:side, :side]
    return ((y - side // 2) ** 2 + (x - side // 2) ** 2 < radius**2).astype(np.int32)


@pytest.mark.parametrize(("plane", "radius"), [(0, 5), (2, 7.5), (4, 10), (6, 12.5), (8, 15)])
def test_between_two_discs_lies_a_disc_of_the_radius_between(plane, radius):
    known = {at: signed_distances(disc(size), n_classes=2, spacing=EVEN) for at, size in ((0, 5), (8, 15))}
    gap = Gap(plane, 8 - plane)
    found = interpolate(known, plane=plane, gap=gap).argmax(axis=0)
    # To a pixel: the edges of the drawn discs are no finer.
    assert (found >= disc(radius - 1)).all()
    assert (found <= disc(radius + 0.5)).all()


@pytest.mark.parametrize(("plane", "gap"), [(1, Gap(None, 2)), (7, Gap(4, None))])
def test_beyond_the_outermost_plane_its_own_distances_hold(plane, gap):
    known = {3: signed_distances(disc(5), n_classes=2, spacing=EVEN)}
    np.testing.assert_array_equal(interpolate(known, plane=plane, gap=gap), known[3])


def make_stack(kind):
    """A cylinder, in which all slices are alike, or blotches drawn anew in each slice."""
    if kind == "cylinder":
        return np.repeat(disc(12)[None], 12, axis=0)
    rng = np.random.default_rng(0)
    return np.stack([np.roll(disc(12), rng.integers(0, 41, 2), axis=(0, 1)) for _ in range(12)])


def count(kind, gap):
    stack = Stack(make_stack(kind), n_classes=2, spacing=EVEN)
    return count_likelihoods(stack, gap=gap, rng=np.random.default_rng(0))


def evidence(kind, gap):
    """Log-odds for class 1 in the middle, and far outside, of a disc that the paint shows as class 1."""
    shown = signed_distances(disc(12), n_classes=2, spacing=EVEN)
    found = look_up(count(kind, gap), shown)
    odds = found[1] - found[0]
    return float(odds[20, 20]), float(odds[0, 0])


def test_paint_is_strong_evidence_where_slices_are_alike():
    inside, outside = evidence("cylinder", Gap(2, 2))
    assert inside > 3
    assert outside < -3


def test_paint_is_no_evidence_where_slices_have_nothing_to_do_with_each_other():
    inside, outside = evidence("noise", Gap(2, 2))
    assert abs(inside) < 1
    assert abs(outside) < 1


def test_paint_on_one_side_only_is_evidence_too():
    inside, outside = evidence("cylinder", Gap(None, 3))
    assert inside > 3
    assert outside < -3


def test_likelihoods_of_each_class_add_up_to_1():
    np.testing.assert_allclose(np.exp(count("noise", Gap(1, 2))).sum(axis=1), [1, 1], rtol=1e-5)


@pytest.mark.parametrize("gap", [Gap(6, 6), Gap(12, None), Gap(None, 40)])
def test_a_stack_too_short_for_the_gap_gives_no_evidence(gap):
    assert not count("cylinder", gap).any()


def test_planes_between_are_interpolated_from_those_at_the_gap():
    stack = Stack(make_stack("noise"), n_classes=2, spacing=EVEN)
    sides = {plane: signed_distances(stack.classes[plane], n_classes=2, spacing=EVEN) for plane in (3, 8)}
    expected = interpolate(sides, plane=5, gap=Gap(2, 3))
    np.testing.assert_array_equal(stack.across(5, Gap(2, 3)), expected)


def unsure_prediction():
    """A network that sees the cylinder only dimly, (2, 12, 41, 41)."""
    stack = make_stack("cylinder")
    return np.stack([np.zeros(stack.shape), np.where(stack, 0.1, -0.1)]).astype(np.float32)


@pytest.fixture
def paint():
    return {2: disc(12), 8: disc(12)}


def add(scores, paint, weight=1.0):
    changed = scores.copy()
    add_evidence(changed, paint=paint, spacing=EVEN, weight=weight, rng=np.random.default_rng(0))
    return changed


def test_evidence_leaves_painted_planes_alone_and_reaches_all_others(paint):
    scores = unsure_prediction()
    changed = add(scores, paint)
    for plane in range(12):
        assert np.array_equal(changed[:, plane], scores[:, plane]) == (plane in paint)


def test_evidence_makes_a_dim_prediction_sure(paint):
    odds = np.diff(add(unsure_prediction(), paint), axis=0)[0, 5]
    assert odds[20, 20] > 3
    assert odds[0, 0] < -3


def test_evidence_is_added_by_its_weight(paint):
    scores = unsure_prediction()
    np.testing.assert_array_equal(add(scores, paint, weight=0), scores)
    whole, half = add(scores, paint) - scores, add(scores, paint, weight=0.5) - scores
    np.testing.assert_allclose(half, whole / 2, atol=1e-5)


def test_without_paint_nothing_changes():
    scores = unsure_prediction()
    np.testing.assert_array_equal(add(scores, {}), scores)


def test_many_classes_do_not_run_over():
    classes = np.arange(100, dtype=np.int16).reshape(1, 10, 10).repeat(4, axis=0)
    stack = Stack(classes, n_classes=100, spacing=EVEN)
    likelihoods = count_likelihoods(stack, gap=Gap(1, 1), rng=np.random.default_rng(0))
    assert np.isfinite(likelihoods).all()
    assert likelihoods[99].argmax() >= 99 * 7  # where the paint says 99, it is


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_the_first_of_the_largest_is_that_of_numpy(dtype):
    scores = np.random.default_rng(0).integers(0, 4, (5, 3, 6, 7)).astype(dtype)  # with many ties
    found = choose_largest(scores)
    assert found.dtype == np.int16
    np.testing.assert_array_equal(found, scores.argmax(axis=0))
