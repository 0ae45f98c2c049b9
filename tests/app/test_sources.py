"""What a napari layer is as an image."""

import warnings

import numpy as np
import pytest
import tifffile
from napari.layers import Image

from napari_weak3d.app.sources import find_in_file, guess_role, look_at, spacing_of, volume_of
from napari_weak3d.errors import VolumeError
from napari_weak3d.io.volumes import SpacingWarning, read_volume

pytestmark = pytest.mark.window


@pytest.fixture
def stack():
    return np.random.default_rng(0).integers(0, 4000, (4, 6, 7)).astype(np.uint16)


def of_file(data, path):
    layer = Image(data, name="cells")
    layer._source = layer.source.model_copy(update={"path": str(path)})  # napari sets it for what a reader gives
    return layer


def test_stack_has_one_channel_and_its_own_shape(stack):
    image = look_at(Image(stack))
    assert (image.shape, image.role, image.n_channels, image.n_times) == ((4, 6, 7), None, 1, 1)


def test_two_axes_are_one_slice(stack):
    image = look_at(Image(stack[0]))
    assert volume_of(image, spacing=(1, 1, 1), unit="relative").data.shape == (1, 1, 6, 7)


@pytest.mark.parametrize(
    ("label", "length", "role"),
    [("-4", 4, "channels"), ("-4", 5, "time"), ("c", 9, "channels"), ("t", 2, "time"), ("Channel", 8, "channels")],
)
def test_fourth_axis_is_known_by_its_label_else_by_its_length(label, length, role):
    assert guess_role(label, length) == role


def test_chosen_role_wins_over_the_guess(stack):
    image = look_at(Image(np.stack([stack, stack])), "time")
    assert (image.n_times, image.n_channels) == (2, 1)


def test_time_point_is_a_volume_of_its_own(stack):
    image = look_at(Image(np.stack([stack, stack + 1])), "time")
    volume = volume_of(image, spacing=(2, 1, 1), unit="um", time_index=1)
    assert np.array_equal(volume.data, stack[None] + 1)


def test_chosen_channels_come_in_their_order(stack):
    image = look_at(Image(np.stack([stack, stack + 1, stack + 2])), "channels")
    volume = volume_of(image, spacing=(1, 1, 1), unit="um", channels=(0, 2))
    assert np.array_equal(volume.data, np.stack([stack, stack + 2]))


def test_finest_level_of_a_multiscale_layer_is_taken(stack):
    image = look_at(Image([stack, stack[:, ::2, ::2]], multiscale=True))
    assert image.shape == (4, 6, 7)


def test_spacing_is_in_micrometres_where_the_layer_has_units_of_length(stack):
    layer = Image(stack, scale=(2000, -500, 500), units=("nm", "nm", "nm"))
    assert spacing_of(layer) == ((2.0, 0.5, 0.5), "um")


def test_spacing_in_pixels_is_relative(stack):
    assert spacing_of(Image(stack, scale=(3, 1, 1))) == ((3.0, 1.0, 1.0), "relative")


def test_spacing_leaves_out_the_channel_axis(stack):
    layer = Image(np.stack([stack, stack]), scale=(1, 2, 0.5, 0.5), units=("pixel", "um", "um", "um"))
    assert spacing_of(layer) == ((2.0, 0.5, 0.5), "um")


@pytest.mark.parametrize(
    ("data", "options", "why"),
    [
        (np.zeros((4, 6, 3), np.uint8), {"rgb": True}, "flower is an RGB image"),
        (np.zeros((2, 2, 2, 4, 4)), {}, "flower has 5 axes"),
        (np.zeros((0, 4, 4)), {"contrast_limits": (0, 1)}, r"flower holds no voxels \(shape \(0, 4, 4\)\)"),
        (np.zeros((0, 2, 4, 4)), {"contrast_limits": (0, 1)}, "flower holds no voxels"),
    ],
)
def test_what_is_no_image_is_refused_by_name(data, options, why):
    with pytest.raises(VolumeError, match=why):
        look_at(Image(data, name="flower", **options))


def test_unchanged_file_is_found_and_gives_the_layer_s_voxels(stack, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "ZYX"})
    place = find_in_file(look_at(of_file(stack, tmp_path / "a.tif")))
    assert (place.path, place.channels) == (tmp_path / "a.tif", None)
    with pytest.warns(SpacingWarning):
        assert np.array_equal(read_volume(place.path).data[0], stack)


def test_file_is_looked_into_without_a_warning_and_without_the_filters_that_all_threads_share(
    stack, tmp_path, monkeypatch
):
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "ZYX"})
    image = look_at(of_file(stack, tmp_path / "a.tif"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        monkeypatch.setattr(warnings, "catch_warnings", None)
        assert find_in_file(image).path == tmp_path / "a.tif"
        monkeypatch.undo()


def test_layer_that_was_changed_is_not_its_file(stack, tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "ZYX"})
    assert find_in_file(look_at(of_file(stack + 1, tmp_path / "a.tif"))) is None
    assert find_in_file(look_at(of_file(stack.astype(np.float32), tmp_path / "a.tif"))) is None
    assert find_in_file(look_at(of_file(stack[:, 1:], tmp_path / "a.tif"))) is None


def test_one_channel_of_a_file_is_found(stack, tmp_path):
    both = np.stack([stack, stack + 1], axis=1)  # ImageJ keeps Z, C, Y, X
    tifffile.imwrite(tmp_path / "a.tif", both, imagej=True, metadata={"axes": "ZCYX"})
    assert find_in_file(look_at(of_file(stack + 1, tmp_path / "a.tif"))).channels == (1,)


def test_chosen_channels_of_a_file_are_told_in_its_own_numbers(stack, tmp_path):
    three = np.stack([stack, stack + 1, stack + 2], axis=1)
    tifffile.imwrite(tmp_path / "a.tif", three, imagej=True, metadata={"axes": "ZCYX"})
    image = look_at(of_file(three.transpose(1, 0, 2, 3), tmp_path / "a.tif"), "channels")
    assert find_in_file(image, channels=(0, 2)).channels == (0, 2)
    assert find_in_file(image).channels is None


def test_layer_without_a_file_has_no_place(stack):
    assert find_in_file(look_at(Image(stack))) is None
