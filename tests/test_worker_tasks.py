"""What the child takes from a project, and what it says of it, with an engine that the test plays."""

import json

import numpy as np
import pytest

from napari_weak3d import workflow
from napari_weak3d.io.project import BoxEntry, BoxesState, Project, describe_file
from napari_weak3d.io.volumes import write_image
from napari_weak3d.messages import Segment, Suggest
from napari_weak3d.types import Prediction, Progress
from napari_weak3d.worker import tasks

SHAPE = (6, 20, 30)
BOXES = tuple(BoxEntry(box_id, ((0, box_id, 2), (3, box_id + 4, 9))) for box_id in (2, 7, 8))


class Talk:
    """Listens, and says nothing."""

    def advance(self, progress):
        pass

    def should_end(self):
        return False


@pytest.fixture
def project(tmp_path):
    write_image(tmp_path / "raw.tif", np.arange(np.prod(SHAPE)).reshape(SHAPE), spacing=(2, 1, 1), unit="um")
    with Project.create(tmp_path / "project", name="Nuclei") as made:
        (made.folder / "models" / "abcd1234").mkdir(parents=True)
        (made.folder / "models" / "abcd1234" / "model.json").write_text(json.dumps({"schema": 1, "method": "boxes"}))
        yield made


def test_suggested_rows_become_ids_though_the_user_has_removed_a_box_meanwhile(project, tmp_path, monkeypatch):
    image = project.add_image(describe_file(tmp_path / "raw.tif"))
    store = project.annotations(image.id, "boxes")
    store.write(BoxesState(boxes=BOXES, next_id=9), {})

    def suggest_boxes(model, sample, *, count):
        yield Progress(1, 1, "looking")
        store.write(BoxesState(boxes=BOXES[1:], next_id=9), {})
        return (2, 0, 1)

    monkeypatch.setattr(workflow, "suggest_boxes", suggest_boxes)
    request = Suggest("j", str(project.folder), image.id, "abcd1234", 3)
    assert tasks.suggest(request, Talk()) == {"slices": [], "boxes": [8, 7], "stopped": False}


@pytest.fixture
def segmented_with(project, tmp_path, monkeypatch):
    """Segments an image; what of its annotation the engine got."""
    image, got = project.add_image(describe_file(tmp_path / "raw.tif")), []

    def segment(model, volume, *, settings, annotated):
        yield Progress(1, 1, "segmenting")
        got.append(annotated)
        return Prediction(labels=np.zeros(volume.shape, np.int32))

    def run(*states):
        for state in states:
            project.annotations(image.id, "boxes").write(state, {})
        tasks.segment(Segment("j", str(project.folder), image.id, "abcd1234"), Talk())
        return got[-1]

    monkeypatch.setattr(workflow, "segment", segment)
    return run


def test_an_image_is_segmented_with_the_boxes_that_are_drawn_in_it_by_now(segmented_with):
    assert segmented_with() is None
    region = ((0, 6), (0, 20), (0, 20))
    sample = segmented_with(BoxesState(boxes=BOXES, next_id=9, region=region))
    assert sample.annotation.corners.tolist() == [np.array(box.corners).tolist() for box in BOXES]
    assert sample.region == region
    assert len(segmented_with(BoxesState(next_id=9)).annotation.corners) == 0  # removed, all of them
