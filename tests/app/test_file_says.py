"""What a file knows and napari's reader leaves out."""

import numpy as np
import pytest
import tifffile
from napari.layers import Image

from napari_weak3d.app.file_says import ask_file, set_right
from napari_weak3d.app.sources import look_at, spacing_of

pytestmark = pytest.mark.window
VOXELS = np.random.default_rng(0).integers(0, 255, (6, 2, 16, 20), dtype=np.uint8)


@pytest.fixture
def open_bare(tmp_path):
    """Open a hyperstack as napari does: the bare array, and where it comes from."""

    def open_bare(data, **metadata):
        file = tmp_path / "image.tif"
        tifffile.imwrite(file, data, imagej=True, resolution=(4, 4), metadata=metadata)
        layer = Image(tifffile.imread(file), name="image")
        image = look_at(layer)
        return layer, type(image)(image.name, image.data, image.role, image.spacing, image.unit, file)

    return open_bare


def test_channels_after_z_become_the_first_axis(open_bare):
    layer, image = open_bare(VOXELS, axes="ZCYX", spacing=2.0, unit="um")
    assert image.role == "time", "what a bare array looks like"
    says = ask_file(image)
    assert says is not None
    assert "2 channels are axis 2 of 4" in says.text
    set_right(layer, says)
    right = look_at(layer)
    assert (right.role, right.shape, right.n_channels) == ("channels", (6, 16, 20), 2)
    assert np.array_equal(layer.data, np.moveaxis(VOXELS, 1, 0))
    assert spacing_of(layer) == ((2.0, 0.25, 0.25), "um")


def test_few_time_points_are_time(open_bare):
    layer, image = open_bare(VOXELS[:3], axes="TZYX", spacing=2.0, unit="um")
    assert image.role == "channels", "what so short an axis looks like"
    says = ask_file(image)
    set_right(layer, says)
    assert look_at(layer).role == "time"
    assert np.array_equal(layer.data, VOXELS[:3])


def test_voxel_size_alone(open_bare):
    layer, image = open_bare(VOXELS[:, 0], axes="ZYX", spacing=0.5, unit="um")
    says = ask_file(image)
    assert "0.5 x 0.25 x 0.25" in says.text
    set_right(layer, says)
    assert spacing_of(layer) == ((0.5, 0.25, 0.25), "um")
    assert np.array_equal(layer.data, VOXELS[:, 0])


def test_nothing_is_said_where_the_layer_knows(open_bare):
    layer, image = open_bare(VOXELS[:, 0], axes="ZYX", spacing=0.5, unit="um")
    set_right(layer, ask_file(image))
    known = look_at(layer)
    assert ask_file(type(known)(known.name, known.data, known.role, known.spacing, known.unit, image.path)) is None


def test_a_layer_of_another_shape_than_its_file_is_left_alone(open_bare):
    _, image = open_bare(VOXELS, axes="ZCYX", spacing=2.0, unit="um")
    assert ask_file(type(image)(image.name, image.data[:4], image.role, image.spacing, image.unit, image.path)) is None


def test_a_file_that_is_gone_says_nothing(open_bare):
    _, image = open_bare(VOXELS, axes="ZCYX", spacing=2.0, unit="um")
    image.path.unlink()
    assert ask_file(image) is None
