"""The child says which boxes to mask next, by the ids that the project keeps."""

import json

import numpy as np
import pytest

from napari_weak3d import workflow
from napari_weak3d.io.project import BoxEntry, BoxesState, Project, describe_file
from napari_weak3d.io.volumes import write_image
from napari_weak3d.messages import Suggest
from napari_weak3d.types import Progress
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
