"""What is boxed in a volume that is segmented: what of it is refused, and what is told."""

from dataclasses import replace

import numpy as np
import pytest

from napari_weak3d import workflow
from napari_weak3d.errors import AnnotationError
from napari_weak3d.types import Sample

UNFIT = {
    "a flat box": (lambda b: {"corners": b.corners * [[[1, 1, 1]], [[1, 1, 0]], [[1, 1, 1]]]}, "box 2 .* zero width"),
    "class 0": (lambda b: {"classes": np.array([1, 0, 1])}, "box 2 .* class 0"),
    "a mask of no box": (lambda b: {"masks": np.where(b.masks > 0, 9, 0).astype(np.int32)}, "hold the value 9"),
    "no masks where there should be": (lambda b: {"masks": None}, "said to have a mask"),
    "a mask beside its box": (lambda b: {"masks": np.roll(b.masks, 24, axis=1)}, "lies outside of it"),
}


@pytest.mark.slow
@pytest.mark.parametrize("case", list(UNFIT))
def test_boxes_that_no_training_would_take_are_refused(case, trained, sample):
    change, words = UNFIT[case]
    boxes = replace(sample.annotation, **change(sample.annotation))
    with pytest.raises(AnnotationError, match=words):
        next(workflow.segment(trained, sample.volume, annotated=Sample(sample.volume, boxes)))


@pytest.mark.slow
def test_boxes_beside_the_region_are_taken(trained, sample, finish):
    now = Sample(sample.volume, sample.annotation, ((0, 1), (0, 1), (0, 1)))
    _, prediction = finish(workflow.segment(trained, sample.volume, annotated=now))
    assert sum(row.score == 1 for row in prediction.objects) == 3


@pytest.mark.slow
def test_a_class_that_the_model_does_not_know_is_told(trained, sample, finish):
    now = Sample(sample.volume, replace(sample.annotation, classes=np.array([1, 5, 1])))
    _, prediction = finish(workflow.segment(trained, sample.volume, annotated=now))
    assert "1 box is of class 5, which the model does not know: taken for class 1" in prediction.notes
    assert [row.class_value for row in prediction.objects if row.score == 1] == [1, 1, 1]
