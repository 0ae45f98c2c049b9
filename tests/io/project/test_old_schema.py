"""Projects of every schema there ever was can be opened: one of each is kept in tests/io/old."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from napari_weak3d.io.project import Project, SlicesState, read_prediction, read_project_image, read_project_sample
from napari_weak3d.types import ObjectRow, PaintClass

OLD = Path(__file__).parents[1] / "old"
RAMP = (np.arange(2 * 4 * 6 * 8) % 50).reshape(2, 4, 6, 8)


@pytest.fixture(params=["project-1", "project-2", "project-3"])
def project(tmp_path, request):
    shutil.copytree(OLD, tmp_path / "old")
    with Project.open(tmp_path / "old" / request.param) as opened:
        yield opened


def test_its_images_are_there(project):
    assert project.name == "Old sample"
    stored, file = project.images
    assert (stored.source, stored.shape, stored.spacing, stored.unit) == ("stored", (4, 6, 8), (2, 1, 1), "um")
    np.testing.assert_array_equal(np.asarray(read_project_image(project.folder, stored.id).data), RAMP)
    # the fingerprint that was taken then is the one that is taken now
    assert (file.path, project.check_source(file.id)) == ("/home/ada/ramp.npy", "moved")
    np.testing.assert_array_equal(np.asarray(read_project_image(project.folder, file.id).data), RAMP[:1])


def test_what_an_image_is_known_by_is_told_since_schema_2(project):
    known = (None, None) if project.folder.name == "project-1" else ("/home/ada/stack.czi", "0f" * 16)
    assert (project.images[0].origin, project.images[0].sampled) == known


def test_of_which_series_an_image_is_is_told_since_schema_3(project):
    image, is_told = project.images[0], project.folder.name == "project-3"
    assert image.first_axis == (("time", 12) if is_told else None)
    assert (image.series, image.time_index) == (("5e71e500", 2) if is_told else (None, None))


def test_its_annotation_is_there(project):
    image = project.images[0]
    sample = read_project_sample(project.folder, image.id)
    labels = np.zeros((4, 6, 8), np.int32)
    labels[1, 1:3, 2:5], labels[3, 4] = 2, 70_000
    np.testing.assert_array_equal(sample.annotation.labels, labels)
    assert project.annotations(image.id).revision() == 2
    assert project.annotations(image.id).state() == SlicesState(
        paint="objects",
        annotated=((0, 1), (2, 3)),
        classes=(PaintClass(1, "background", "#112233", background=True),),
        region=((0, 4), (0, 6), (1, 8)),
        effort_s=12.5,
    )


def test_its_model_and_prediction_are_there(project):
    image, model = project.images[0], project.models[0]
    assert (model.name, model.held_out, model.trained, model.unfinished) == ("first", 0.5, True, False)
    entry = project.predictions(image.id)[0]
    found = read_prediction(project.prediction_folder(entry.id))
    assert found.model_id == model.id
    assert np.unique(found.labels).tolist() == [0, 1, 2]
    assert found.objects == (ObjectRow(1, 2, 0.75, (1.5, 2.5, 2.5), ((0, 0, 2), (4, 6, 4))),)
    assert found.class_table == (PaintClass(2, "cell"),)
    assert found.uncertainty.max() == 0.25
    assert found.least_score is None


def test_writing_to_it_works(project):
    image = project.images[0]
    store = project.annotations(image.id)
    assert store.write(store.state(), {0: np.ones((6, 8), np.int32)}) == 3
    assert store.painted_planes() == (0, 1, 3)
