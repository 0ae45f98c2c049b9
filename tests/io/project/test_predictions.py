"""Predictions on disk: whole, mapped, listed."""

import numpy as np
import pytest

from napari_weak3d.errors import AnnotationError, StorageError
from napari_weak3d.io.export import export_result
from napari_weak3d.io.project import new_id, read_prediction, write_prediction
from napari_weak3d.io.volumes import read_labels, read_volume
from napari_weak3d.types import ObjectRow, PaintClass, Prediction

SHAPE = (6, 20, 30)
ROW = ObjectRow(1, 2, 0.5, (1.0, 2.5, 3.0), ((0, 1, 2), (3, 4, 5)))
TABLE = (PaintClass(1, "background", background=True), PaintClass(2, "cell"))


def full():
    rng = np.random.default_rng(0)
    return Prediction(
        labels=rng.integers(0, 9, SHAPE).astype(np.int32),
        classes=rng.integers(0, 3, SHAPE).astype(np.int32),
        objects=(ROW,),
        uncertainty=rng.random(SHAPE).astype(np.float32),
        images={"response/map": rng.random(SHAPE).astype(np.float32)},
        probabilities=rng.random((2, *SHAPE)).astype(np.float16),
        notes=("shapes are guesses",),
        least_score=0.3,
    )


def test_a_prediction_comes_back_mapped(project, image):
    place, prediction = project.prediction_folder(new_id()), full()
    write_prediction(place, prediction, image_id=image.id, model_id="abcd1234", class_table=TABLE)
    found = read_prediction(place)
    for name in ("labels", "classes", "uncertainty", "probabilities"):
        np.testing.assert_array_equal(getattr(found, name), getattr(prediction, name))
        assert isinstance(getattr(found, name), np.memmap)
    np.testing.assert_array_equal(found.images["response/map"], prediction.images["response/map"])
    assert (found.objects, found.notes, found.least_score) == ((ROW,), prediction.notes, 0.3)
    assert (found.id, found.image_id, found.model_id, found.class_table) == (place.name, image.id, "abcd1234", TABLE)


def test_what_a_method_does_not_give_is_none(project, image):
    place = project.prediction_folder(new_id())
    write_prediction(place, Prediction(np.ones(SHAPE, np.int32)), image_id=image.id, model_id="abcd1234")
    found = read_prediction(place)
    assert (found.classes, found.uncertainty, found.probabilities) == (None, None, None)
    assert (found.objects, found.images) == ((), {})


def test_the_predictions_of_an_image_are_listed_newest_last(project, image):
    places = [project.prediction_folder(new_id()) for _ in range(3)]
    for place, image_id in zip(places, [image.id, "beef0000", image.id], strict=True):
        write_prediction(place, full(), image_id=image_id, model_id="abcd1234")
    (project.folder / "predictions" / ".123-456-beef").mkdir()
    (project.folder / "predictions" / "beef1111").mkdir()
    assert [entry.id for entry in project.predictions(image.id)] == [places[0].name, places[2].name]
    assert project.predictions(image.id)[0].n_objects == 1
    project.delete_prediction(places[0].name)
    project.delete_prediction(places[0].name)
    assert [entry.id for entry in project.predictions(image.id)] == [places[2].name]
    assert not places[0].exists()


def test_a_prediction_appears_whole_or_not_at_all(project, image, monkeypatch):
    monkeypatch.setattr("napari_weak3d.io.project.predictions.write_json", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        write_prediction(project.prediction_folder(new_id()), full(), image_id=image.id, model_id="abcd1234")
    assert list((project.folder / "predictions").iterdir()) == []


@pytest.mark.parametrize("name", ["labels.npy", "prediction.json"])
def test_a_damaged_prediction_is_named(project, image, name):
    place = project.prediction_folder(new_id())
    write_prediction(place, full(), image_id=image.id, model_id="abcd1234")
    (place / name).write_bytes(b"x")
    with pytest.raises(StorageError, match=name):
        read_prediction(place)
    (place / name).unlink()
    with pytest.raises(StorageError, match=name):
        read_prediction(place)


# export


@pytest.mark.parametrize("name", ["a.tif", "a.zarr"])
def test_labels_and_uncertainty_go_out_with_their_spacing(project, image, tmp_path, name):
    place, prediction = project.prediction_folder(new_id()), full()
    write_prediction(place, prediction, image_id=image.id, model_id="abcd1234")
    found = read_prediction(place)
    export_result(tmp_path / name, found.labels, image=image)
    np.testing.assert_array_equal(read_labels(tmp_path / name), prediction.labels)
    assert read_volume(tmp_path / name).spacing == pytest.approx(image.spacing)
    export_result(tmp_path / f"u{name}", found.uncertainty, image=image)
    np.testing.assert_array_equal(np.asarray(read_volume(tmp_path / f"u{name}").data)[0], prediction.uncertainty)


def test_a_result_of_another_image_is_not_exported(image, tmp_path):
    with pytest.raises(AnnotationError, match="belongs to another image"):
        export_result(tmp_path / "a.tif", np.ones((1, 2, 3), np.int32), image=image)
    with pytest.raises(StorageError, match="ending"):
        export_result(tmp_path / "a.png", np.ones(SHAPE, np.int32), image=image)


def test_of_many_predictions_of_an_image_the_newest_stay(project, image):
    places = [project.prediction_folder(new_id()) for _ in range(4)]
    for place, image_id in zip(places, [image.id, "beef0000", image.id, image.id], strict=True):
        write_prediction(place, full(), image_id=image_id, model_id="abcd1234")
    project.delete_old_predictions(image.id, keep=2)
    assert [place.exists() for place in places] == [False, True, True, True]
