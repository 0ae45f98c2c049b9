"""napari's own save of Labels layers."""

import numpy as np
import pytest
from napari.layers import Labels
from npe2 import PluginManager

from napari_weak3d.app.project_writer import write_labels_layer
from napari_weak3d.errors import AnnotationError, StorageError
from napari_weak3d.io.volumes import read_labels, read_volume

pytestmark = pytest.mark.window

PLUGIN = "napari-weak3d"


@pytest.fixture(autouse=True)
def _plugins():
    """napari looks for plugins when its window opens; there is none here."""
    PluginManager.instance().discover()


def draw_labels(**attributes):
    labels = np.zeros((4, 6, 8), np.int32)
    labels[1:3, 2:4, 2:5] = 7
    return Labels(labels, name="paint", **attributes)


@pytest.mark.parametrize("ending", ["tif", "tiff", "zarr"])
def test_labels_saved_from_napari_keep_values_spacing_and_unit(ending, tmp_path):
    layer = draw_labels(scale=(2, 0.5, 0.25), units=("um",) * 3)
    file = tmp_path / f"saved.{ending}"
    assert layer.save(str(file), plugin=PLUGIN) == [str(file)]
    np.testing.assert_array_equal(read_labels(file), layer.data)
    stored = read_volume(file)
    assert stored.spacing == pytest.approx((2, 0.5, 0.25))
    assert stored.unit == "um"


def test_zarr_needs_no_choice_of_a_plugin(tmp_path):
    assert draw_labels().save(str(tmp_path / "saved.zarr")) == [str(tmp_path / "saved.zarr")]


def test_nanometres_become_micrometres(tmp_path):
    draw_labels(scale=(40, 8, 8), units=("nm",) * 3).save(str(tmp_path / "saved.zarr"), plugin=PLUGIN)
    assert read_volume(tmp_path / "saved.zarr").spacing == pytest.approx((0.04, 0.008, 0.008))


def test_labels_in_pixels_are_relative_and_keep_their_ratios(tmp_path):
    draw_labels(scale=(3, 1, 1)).save(str(tmp_path / "saved.zarr"), plugin=PLUGIN)
    stored = read_volume(tmp_path / "saved.zarr")
    assert (stored.spacing, stored.unit) == ((3, 1, 1), "relative")


def test_mirrored_axis_has_a_size_like_any_other(tmp_path):
    draw_labels(scale=(2, -0.5, 0.5), units=("um",) * 3).save(str(tmp_path / "saved.zarr"), plugin=PLUGIN)
    assert read_volume(tmp_path / "saved.zarr").spacing == pytest.approx((2, 0.5, 0.5))


def test_2d_labels_are_saved_as_one_slice(tmp_path):
    Labels(np.eye(5, dtype=int), scale=(0.5, 0.5), units=("um",) * 2).save(str(tmp_path / "a.tif"), plugin=PLUGIN)
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif"), np.eye(5)[None])


def test_of_multiscale_labels_the_finest_level_is_saved(tmp_path):
    fine = draw_labels().data
    Labels([fine, fine[::2, ::2, ::2]], multiscale=True).save(str(tmp_path / "saved.zarr"), plugin=PLUGIN)
    np.testing.assert_array_equal(read_labels(tmp_path / "saved.zarr"), fine)


@pytest.mark.parametrize("ending", [".tif", ".zarr"])
def test_labels_with_a_time_axis_are_saved_as_time_points(tmp_path, ending):
    labels = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    file = tmp_path / f"saved{ending}"
    Labels(labels, name="cells", scale=(7, 2, 0.5, 0.5), units=("s", "um", "um", "um")).save(str(file), plugin=PLUGIN)
    for time in range(2):
        volume = read_volume(file, time_index=time)
        np.testing.assert_array_equal(volume.data[0], labels[time])
        assert (volume.spacing, volume.unit) == ((2, 0.5, 0.5), "um")


def test_labels_of_five_axes_are_refused_with_what_to_do(tmp_path):
    with pytest.raises(AnnotationError, match=r"the layer cells has 5 axes .*Split Stack"):
        write_labels_layer(str(tmp_path / "saved.tif"), np.zeros((2, 2, 3, 4, 5), int), {"name": "cells"})
    assert not list(tmp_path.glob("saved*"))


def test_save_into_a_folder_that_is_not_there_keeps_nothing_half(tmp_path):
    with pytest.raises(StorageError):
        draw_labels().save(str(tmp_path / "missing" / "saved.zarr"), plugin=PLUGIN)
    assert not list(tmp_path.rglob("saved*"))


def test_table_of_objects_is_saved_from_napari(tmp_path):
    file = tmp_path / "saved.csv"
    layer = draw_labels(scale=(2, 0.5, 0.25), units=("um",) * 3)
    assert layer.save(str(file)) == [str(file)]
    header, row = (line.split(",") for line in file.read_text().splitlines())
    found = dict(zip(header, row, strict=True))
    assert (found["id"], found["n_voxels"], found["unit"], float(found["volume"])) == ("7", "12", "um", 3.0)
