"""From classes to objects: components against a plain flood fill."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_weak3d.methods.slices.model import SlicesModel
from napari_weak3d.methods.slices.segmenting import label_components, shift_threshold


def flood(classes, *, smallest):
    """Voxel by voxel, over faces: the set of components of at least this many voxels."""
    left = {tuple(at) for at in np.argwhere(classes >= 0)}
    found = []
    while left:
        todo, component = [left.pop()], set()
        while todo:
            at = todo.pop()
            component.add(at)
            for axis in range(3):
                for step in (-1, 1):
                    near = (*at[:axis], at[axis] + step, *at[axis + 1 :])
                    if near in left and classes[near] == classes[at]:
                        left.remove(near)
                        todo.append(near)
        found.append(frozenset(component))
    return {component for component in found if len(component) >= smallest}


@settings(max_examples=30)
@given(seed=st.integers(0, 10_000), smallest=st.integers(0, 6))
def test_components_are_those_of_a_flood_fill(seed, smallest):
    classes = np.random.default_rng(seed).integers(-1, 3, (3, 4, 5))
    labels = label_components(classes, smallest=smallest)
    assert labels.dtype == np.int32
    ids = [value for value in np.unique(labels) if value]
    assert ids == list(range(1, len(ids) + 1))
    assert {frozenset(map(tuple, np.argwhere(labels == value))) for value in ids} == flood(classes, smallest=smallest)


def test_numbers_go_class_by_class():
    classes = np.array([[[2, -1, 1, -1, 2, 2, 1]]])
    assert label_components(classes, smallest=0).tolist() == [[[3, 0, 1, 0, 4, 4, 2]]]


def test_objects_of_different_classes_that_touch_stay_apart():
    assert label_components(np.array([[[1, 1, 2, 2]]]), smallest=0).tolist() == [[[1, 1, 2, 2]]]


def test_background_alone_gives_no_objects():
    labels = label_components(np.full((2, 3, 4), -1), smallest=0)
    assert not labels.any()


@pytest.mark.slow
@pytest.mark.parametrize("per_axis", [(3, 0, 0), (0, 3, 1)])
def test_the_classes_are_the_first_of_the_largest_probabilities(per_axis, fit, finish, paint, tmp_path):
    sample = paint(per_axis)
    _, model = finish(fit(tmp_path / "model", samples=[sample]))
    _, prediction = finish(model.predict(sample.volume))
    probabilities = prediction.probabilities
    assert (probabilities.dtype, probabilities.shape) == (np.float16, (2, *sample.volume.shape))
    values = np.array([row.value for row in model.stored.scheme.classes])
    np.testing.assert_array_equal(values[probabilities.astype(np.float32).argmax(0)], prediction.classes)
    np.testing.assert_allclose(probabilities.astype(np.float32).sum(0), 1, atol=2e-3)
    for axis, index in sample.annotation.annotated:
        assert set(np.unique(probabilities.take(index, axis=1 + axis))) <= {0, 1}


@pytest.mark.slow
@pytest.mark.parametrize(("per_axis", "threshold"), [((3, 0, 0), 0.4), ((0, 3, 0), 0.7)])
def test_no_object_lies_where_the_foreground_is_below_a_half(  # noqa: PLR0917 - fixtures
    per_axis, threshold, fit, finish, paint, tmp_path
):
    sample = paint(per_axis, "objects")
    _, model = finish(fit(tmp_path / "model", samples=[sample], steps=20))
    stored = model.stored
    settings = replace(stored.calibration.instances, foreground=threshold, min_top=0, min_volume=0)
    model = SlicesModel(replace(stored, calibration=replace(stored.calibration, instances=settings)))
    _, prediction = finish(model.predict(sample.volume))
    (foreground,) = prediction.probabilities.astype(np.float32)
    assert foreground.shape == sample.volume.shape
    assert prediction.labels.any()
    np.testing.assert_array_equal(prediction.labels[foreground != 0.5] > 0, foreground[foreground != 0.5] > 0.5)
    for axis, index in sample.annotation.annotated:
        painted = sample.annotation.labels.take(index, axis=axis) > 0
        np.testing.assert_array_equal(foreground.take(index, axis=axis), painted)


@pytest.mark.slow
def test_segmenting_tells_of_voxels_unlike_those_of_training(trained, finish, cells):
    model = SlicesModel.load(trained)
    coarse = replace(cells, spacing=(2.0, 8.0, 8.0))
    (same, *_), (other, *_) = (finish(model.predict(volume))[0] for volume in (cells, coarse))
    assert same.message == "segmenting"
    assert "voxels differ 8 times" in other.message


def test_a_threshold_becomes_a_half_and_order_is_kept():
    before = np.array([0, 0.1, 0.7, 0.9, 1], np.float32)
    after = shift_threshold(before, threshold=0.7)
    assert after[[0, 2, 4]] == pytest.approx([0, 0.5, 1])
    assert (np.diff(after) > 0).all()
