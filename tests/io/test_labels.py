"""Label images in and out."""

import warnings

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from napari_weak3d.errors import AnnotationError, StorageError
from napari_weak3d.io.axes import AxesWarning
from napari_weak3d.io.labels import write_label_series
from napari_weak3d.io.volumes import read_labels, read_volume, write_image, write_labels
from napari_weak3d.types import Volume

SHAPES = array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=6)
SIZES = st.tuples(*[st.floats(0.01, 100)] * 3)


@settings(max_examples=30)
@given(
    labels=SHAPES.flatmap(lambda shape: arrays(np.int32, shape, elements=st.sampled_from([0, 1, 255, 256, 70_000]))),
    spacing=SIZES,
    ending=st.sampled_from([".tif", ".tiff", ".ome.tif", ".zarr"]),
    unit=st.sampled_from(["um", "relative"]),
)
def test_labels_come_back_with_their_spacing(tmp_path_factory, labels, spacing, ending, unit):
    path = tmp_path_factory.mktemp("labels") / f"a{ending}"
    write_labels(path, labels, spacing=spacing, unit=unit)
    again = read_labels(path)
    assert again.dtype == np.int32
    np.testing.assert_array_equal(again, labels)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # relative (1, 1, 1) is no spacing
        volume = read_volume(path)
    assert volume.unit == unit
    assert volume.spacing == pytest.approx(spacing, rel=1e-5)


@settings(max_examples=20)
@given(image=SHAPES.flatmap(lambda shape: arrays(np.float32, shape, elements=st.floats(0, 1, width=32))))
def test_images_come_back_to_the_bit(tmp_path_factory, image):
    for ending in (".tif", ".zarr"):
        path = tmp_path_factory.mktemp("images") / f"a{ending}"
        write_image(path, image, spacing=(2, 1, 1), unit="um")
        np.testing.assert_array_equal(np.asarray(read_volume(path).data)[0], image)


@pytest.mark.parametrize(("highest", "dtype"), [(255, "uint8"), (256, "uint16"), (65536, "uint32"), (0, "uint8")])
def test_labels_take_the_smallest_dtype(tmp_path, highest, dtype):
    write_labels(tmp_path / "a.tif", np.full((2, 3, 4), highest), spacing=(1, 1, 1), unit="um")
    assert tifffile.imread(tmp_path / "a.tif").dtype == dtype


@pytest.mark.parametrize("ending", [".tif", ".ome.tif", ".zarr"])
def test_labels_of_a_series_come_back_time_point_by_time_point(tmp_path, ending):
    labels = np.zeros((3, 2, 4, 5), np.int32)
    labels[1, 0, 0, 0], labels[2] = 300, 1
    write_label_series(tmp_path / f"a{ending}", labels, spacing=(5, 0.5, 0.25), unit="um")
    for time in range(3):
        volume = read_volume(tmp_path / f"a{ending}", time_index=time)
        assert volume.data.dtype == np.uint16
        assert volume.spacing == pytest.approx((5, 0.5, 0.25))
        np.testing.assert_array_equal(volume.data[0], labels[time])


def test_label_that_is_none_is_told_with_its_time_point(tmp_path):
    labels = np.zeros((3, 2, 4, 5), np.int32)
    labels[1, 0, 0, 0] = -2
    with pytest.raises(AnnotationError, match=r"time point 1 of the labels holds -2 at z 0"):
        write_label_series(tmp_path / "a.tif", labels, spacing=(1, 1, 1), unit="um")


def test_fiji_gets_a_calibrated_hyperstack(tmp_path):
    write_labels(tmp_path / "a.tif", np.ones((2, 3, 4)), spacing=(5, 0.5, 0.25), unit="um")
    with tifffile.TiffFile(tmp_path / "a.tif") as tif:
        assert tif.imagej_metadata["spacing"] == 5
        assert tif.imagej_metadata["unit"] == "um"
        assert tif.pages[0].tags["XResolution"].value == (4, 1)
        assert tif.pages[0].compression.name == "ADOBE_DEFLATE"


def test_a_zarr_of_labels_is_an_ome_label_image(tmp_path):
    write_labels(tmp_path / "a.zarr", np.ones((2, 3, 4), int), spacing=(5, 0.5, 0.25), unit="um")
    ome = zarr.open_group(tmp_path / "a.zarr", mode="r").attrs["ome"]
    assert ome["version"] == "0.5"
    assert "image-label" in ome
    assert [axis["unit"] for axis in ome["multiscales"][0]["axes"]] == ["micrometer"] * 3


def test_writing_again_replaces_the_old_labels(tmp_path):
    for ending in (".tif", ".zarr"):
        path = tmp_path / f"a{ending}"
        write_labels(path, np.ones((4, 4, 4), int), spacing=(1, 1, 1), unit="um")
        write_labels(path, np.full((2, 2, 2), 7), spacing=(1, 1, 1), unit="um")
        np.testing.assert_array_equal(read_labels(path), np.full((2, 2, 2), 7))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tif", "a.zarr"]


def test_whole_numbers_stored_as_float_are_labels(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[[0.0, 3.0]]]))
    np.testing.assert_array_equal(read_labels(tmp_path / "a.npy"), [[[0, 3]]])


@pytest.mark.parametrize("value", [-1, 0.5, np.nan, np.inf, 2.0**31])
def test_a_value_that_is_no_label_is_named(tmp_path, value):
    array = np.zeros((2, 3, 4))
    array[1, 2, 3] = value
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(AnnotationError, match=r"at z 1, y 2, x 3: labels are whole numbers"):
        read_labels(tmp_path / "a.npy")


def test_a_shape_other_than_the_image_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((2, 3, 4), int))
    with pytest.raises(AnnotationError, match=r"a\.npy is 2x3x4, the image raw is 4x3x2 .*another order"):
        read_labels(tmp_path / "a.npy", like=Volume(np.zeros((1, 4, 3, 2)), name="raw"))
    with pytest.raises(AnnotationError, match=r"2x3x4, the image raw is 2x3x5 .*must be equal"):
        read_labels(tmp_path / "a.npy", like=Volume(np.zeros((1, 2, 3, 5)), name="raw"))


def test_labels_of_several_channels_are_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.ones((2, 3, 4, 5), "uint8"), imagej=True, metadata={"axes": "ZCYX"})
    with pytest.raises(AnnotationError, match="3 channels"):
        read_labels(tmp_path / "a.tif")


def test_an_ending_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(StorageError, match=r"\.tif, \.tiff or \.zarr, not \.png"):
        write_labels(tmp_path / "a.png", np.ones((2, 3, 4), int), spacing=(1, 1, 1), unit="um")
    assert list(tmp_path.iterdir()) == []


def test_slices_that_are_called_channels_are_told_without_an_option_that_labels_lack(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.ones((20, 8, 9), np.uint8), imagej=True, metadata={"axes": "CYX"})
    with pytest.warns(AxesWarning, match="20 channels of one slice: they are taken for slices$"):
        assert read_labels(tmp_path / "a.tif").shape == (20, 8, 9)
