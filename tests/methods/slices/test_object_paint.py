"""Painted objects of a volume that is segmented itself: kept wherever they are painted, whatever their ids are."""

from dataclasses import replace

import numpy as np
import pytest

from napari_weak3d.methods.slices.object_paint import UNKNOWN, is_all_whole, name_objects, read_object_paint
from napari_weak3d.types import Slices

HIGHEST = np.iinfo(np.int32).max


@pytest.fixture
def slices():
    """z = 1 is complete, with ids 7 and the highest there is; y = 2 too, with 7; a dot of 9 lies on z = 3."""
    labels = np.zeros((4, 5, 6), np.int32)
    labels[1, 1:4, 0:2], labels[1, 1:4, 3:5] = 7, HIGHEST
    labels[2, 2, 0:2], labels[3, 4, 5] = 7, 9
    return Slices(labels, paint="objects", annotated=((0, 1), (1, 2)))


def test_whole_planes_are_numbered_in_the_order_of_their_ids(slices):
    found = read_object_paint(slices, stack_axis=0)
    assert found.ids.tolist() == [7, 9, HIGHEST]
    assert list(found.planes) == [1]
    assert found.planes[1][2].tolist() == [1, 1, 0, 3, 3, 0]


def test_marks_are_paint_beside_whole_planes_and_slices_across_them(slices):
    marks = read_object_paint(slices, stack_axis=0).marks
    expected = np.full((4, 5, 6), UNKNOWN)
    expected[[0, 2, 3], 2] = 0
    expected[2, 2, 0:2], expected[3, 4, 5] = 1, 2
    np.testing.assert_array_equal(marks, expected)


def test_along_another_axis_the_other_slice_is_whole(slices):
    found = read_object_paint(slices, stack_axis=1)
    assert list(found.planes) == [2]
    assert found.planes[2].tolist() == [[0] * 6, [1, 1, 0, 3, 3, 0], [1, 1, 0, 0, 0, 0], [0] * 6]
    assert found.marks.shape == (5, 4, 6)
    assert found.marks[1, 1].tolist() == [1, 1, 0, 3, 3, 0]
    assert found.marks[4, 3].tolist() == [UNKNOWN] * 5 + [2]


def test_whole_planes_alone_leave_no_marks(slices):
    labels = slices.labels * (np.arange(4) == 1)[:, None, None]
    alone = replace(slices, labels=labels, annotated=((0, 1),))
    assert read_object_paint(alone, stack_axis=0).marks is None
    assert is_all_whole(alone, stack_axis=0)
    assert not is_all_whole(alone, stack_axis=1)
    assert not is_all_whole(slices, stack_axis=0)


@pytest.mark.parametrize(
    ("ids", "count", "names"),
    [
        ([], 2, [0, 1, 2]),
        ([3, 8], 4, [0, 3, 8, 9, 10]),
        ([3, 8], 2, [0, 3, 8]),
        ([2, HIGHEST - 1], 3, [0, 2, HIGHEST - 1, HIGHEST]),
        ([2, HIGHEST - 1], 5, [0, 2, HIGHEST - 1, 1, 3, 4]),
        ([1, HIGHEST], 4, [0, 1, HIGHEST, 2, 3]),
    ],
)
def test_painted_objects_keep_their_ids_and_new_ones_get_free_ones(ids, count, names):
    assert name_objects(np.array(ids, np.int32), count=count).tolist() == names


@pytest.mark.slow
@pytest.mark.parametrize("per_axis", [(3, 1, 1), (1, 5, 0)])
def test_complete_slices_of_every_axis_come_out_as_painted(per_axis, fit, finish, paint, tmp_path):
    sample = paint(per_axis, "objects")
    progress, model = finish(fit(tmp_path / "model", samples=[sample]))
    _, prediction = finish(model.predict(sample.volume))
    for axis, index in sample.annotation.annotated:
        painted, found = (image.take(index, axis=axis) for image in (sample.annotation.labels, prediction.labels))
        np.testing.assert_array_equal(found, painted)
        assert not prediction.uncertainty.take(index, axis=axis).any()
        np.testing.assert_array_equal(prediction.probabilities[0].take(index, axis=axis), painted > 0)
    along = "z" if per_axis[0] == 3 else "y"
    assert f"complete slices along {along}; other painted objects are kept, not learned from" in progress[0].message


@pytest.mark.slow
def test_nothing_is_said_where_all_paint_of_objects_teaches(fit, object_sample, tmp_path):
    job = fit(tmp_path / "model", samples=[object_sample])
    assert next(job).message == "training"
    job.close()


@pytest.mark.slow
def test_ids_as_large_as_they_come_are_kept(fit, finish, object_sample, tmp_path):
    small = object_sample.annotation
    large = replace(small, labels=np.where(small.labels > 0, HIGHEST - 3 + small.labels, 0).astype(np.int32))
    results = []
    for name, annotation in (("small", small), ("large", large)):
        _, model = finish(fit(tmp_path / name, samples=[replace(object_sample, annotation=annotation)]))
        results.append(finish(model.predict(object_sample.volume, settings={"smallest_object": 2}))[1])
    few, many = results
    np.testing.assert_array_equal(few.labels > 0, many.labels > 0)
    plane = small.annotated[0][1]
    np.testing.assert_array_equal(many.labels[plane], large.labels[plane])
    assert [row.id for row in many.objects] == np.unique(many.labels[many.labels > 0]).tolist()
    assert len(many.objects) == len(few.objects)
