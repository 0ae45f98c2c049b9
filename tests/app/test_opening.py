"""napari started at a project or an image."""

import napari
import numpy as np
import pytest
import tifffile

from napari_weak3d.app import opening
from napari_weak3d.errors import VolumeError
from napari_weak3d.io.volumes import write_labels

pytestmark = pytest.mark.window


def write_stack(file, *, shape=(5, 6, 7), axes="ZYX"):
    stack = np.arange(np.prod(shape), dtype=np.uint16).reshape(shape)
    metadata = {"axes": axes, "spacing": 2.0, "unit": "um"}
    tifffile.imwrite(file, stack, imagej=True, resolution=(2.0, 2.0), metadata=metadata)
    return stack


@pytest.mark.slow
def test_image_opens_with_the_voxel_size_of_its_file_and_knows_the_file(tmp_path, make_napari_viewer):
    stack = write_stack(tmp_path / "cells.tif")
    viewer = make_napari_viewer()
    opening.open_image(viewer, tmp_path / "cells.tif")
    (layer,) = viewer.layers
    np.testing.assert_array_equal(layer.data, stack)
    assert layer.source.path == str(tmp_path / "cells.tif")
    assert tuple(layer.scale) == pytest.approx((2.0, 0.5, 0.5))
    assert [str(unit) for unit in layer.units] == ["micrometer"] * 3
    assert layer.axis_labels == ("z", "y", "x")
    assert viewer.dims.current_step == (2, 2, 3)  # the middle


@pytest.mark.slow
def test_channels_come_first_though_the_file_has_them_behind_z(tmp_path, make_napari_viewer):
    stack = write_stack(tmp_path / "cells.tif", shape=(5, 2, 6, 7), axes="ZCYX")
    viewer = make_napari_viewer()
    opening.open_image(viewer, tmp_path / "cells.tif")
    (layer,) = viewer.layers
    np.testing.assert_array_equal(np.asarray(layer.data), stack.swapaxes(0, 1))
    assert layer.source.path == str(tmp_path / "cells.tif")
    assert tuple(layer.scale) == pytest.approx((1.0, 2.0, 0.5, 0.5))
    assert layer.axis_labels == ("c", "z", "y", "x")


@pytest.mark.slow
def test_zarr_opens_with_its_voxel_size(tmp_path, make_napari_viewer):
    labels = np.arange(60).reshape(3, 4, 5)
    write_labels(tmp_path / "cells.zarr", labels, spacing=(2, 0.5, 0.5), unit="um")
    viewer = make_napari_viewer()
    opening.open_image(viewer, tmp_path / "cells.zarr")
    np.testing.assert_array_equal(np.asarray(viewer.layers[0].data), labels)
    assert tuple(viewer.layers[0].scale) == (2.0, 0.5, 0.5)


@pytest.mark.slow
def test_time_series_stays_as_napari_reads_it(tmp_path, make_napari_viewer):
    series = np.arange(2 * 3 * 4 * 5, dtype=np.uint16).reshape(2, 3, 4, 5)
    tifffile.imwrite(tmp_path / "film.tif", series, imagej=True, metadata={"axes": "TZYX"})
    viewer = make_napari_viewer()
    opening.open_image(viewer, tmp_path / "film.tif")
    np.testing.assert_array_equal(viewer.layers[0].data, series)


def test_file_that_is_no_image_opens_no_window(tmp_path, monkeypatch):
    (tmp_path / "notes.txt").write_text("no image")
    monkeypatch.setattr(napari, "Viewer", lambda: pytest.fail("a window was opened"))
    with pytest.raises(VolumeError, match="unknown kind"):
        opening.start(tmp_path / "notes.txt")
