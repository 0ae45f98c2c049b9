"""Reading volumes: formats, axes, spacing, and what is refused."""

import json
import subprocess
import sys
import warnings

import numpy as np
import pytest
import tifffile
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from napari_weak3d.errors import VolumeError
from napari_weak3d.io.spacing import parse_spacing, spacing_from_metadata, unit_in_micrometres
from napari_weak3d.io.volumes import AxesWarning, SpacingWarning, check_image, read_volume
from napari_weak3d.types import Volume

UM = (1.0, 1.0, 1.0)


def counted(*shape, dtype="uint16"):
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def save_imagej(path, array, axes, **metadata):
    resolution = metadata.pop("resolution", (1, 1))
    tifffile.imwrite(path, array, imagej=True, resolution=resolution, metadata={"axes": axes, **metadata})


def save_zarr(path, array, *, version, axes, scale, sizes=(1.0,), global_scale=None):
    """An OME-Zarr pyramid; ``sizes`` are the strides of its levels, in the order of the file."""
    group = zarr.open_group(path, mode="w", zarr_format=2 if version == "0.4" else 3)
    datasets = []
    for i, stride in enumerate(sizes):
        level = array[(..., slice(None, None, int(stride)), slice(None, None, int(stride)))]
        group.create_array(str(i), shape=level.shape, dtype=level.dtype)[...] = level
        level_scale = [*scale[:-2], scale[-2] * stride, scale[-1] * stride]
        datasets.append({"path": str(i), "coordinateTransformations": [{"type": "scale", "scale": level_scale}]})
    multiscale = {"axes": axes, "datasets": datasets, "version": version}
    if global_scale:
        multiscale["coordinateTransformations"] = [{"type": "scale", "scale": global_scale}]
    ome = {"multiscales": [multiscale], "version": version}
    group.attrs.update(ome if version == "0.4" else {"ome": ome})


def zyx_axes(unit):
    return [{"name": name, "type": "space", "unit": unit} for name in "zyx"]


# formats


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "float32", "float64", "bool"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_plain_tiff_comes_back_as_one_channel(tmp_path, dtype, compression):
    array = counted(3, 5, 7, dtype=dtype)
    tifffile.imwrite(tmp_path / "a.tif", array, compression=compression, photometric="minisblack")
    volume = read_volume(tmp_path / "a.tif", spacing=UM)
    assert volume.data.shape == (1, 3, 5, 7)
    assert volume.data.dtype == dtype
    np.testing.assert_array_equal(np.asarray(volume.data)[0], array)


def test_an_uncompressed_tiff_is_mapped_not_read(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", counted(3, 5, 7), byteorder="<", photometric="minisblack")
    assert isinstance(read_volume(tmp_path / "a.tif", spacing=UM).data, np.memmap)


def test_a_big_endian_tiff_gives_numbers_in_the_byte_order_of_the_machine(tmp_path):
    array = counted(3, 5, 7)
    tifffile.imwrite(tmp_path / "a.tif", array, byteorder=">", photometric="minisblack")
    volume = read_volume(tmp_path / "a.tif", spacing=UM)
    assert volume.data.dtype.isnative
    assert np.asarray(volume.data[0, 1]).dtype.isnative
    np.testing.assert_array_equal(volume.data[0, 1], array[1])


def test_a_2d_image_is_a_stack_of_one_slice(tmp_path):
    array = counted(5, 7)
    tifffile.imwrite(tmp_path / "a.tif", array)
    np.save(tmp_path / "a.npy", array)
    for name in ("a.tif", "a.npy"):
        volume = read_volume(tmp_path / name, spacing=UM)
        assert volume.shape == (1, 5, 7)
        np.testing.assert_array_equal(volume.data[0, 0], array)


def test_an_imagej_hyperstack_gives_channels_and_micrometres(tmp_path):
    array = counted(4, 2, 5, 7)
    save_imagej(tmp_path / "a.tif", array, "ZCYX", spacing=2.5, unit="micron", resolution=(1 / 0.2, 1 / 0.4))
    volume = read_volume(tmp_path / "a.tif")
    assert volume.spacing == pytest.approx((2.5, 0.4, 0.2))
    assert volume.unit == "um"
    np.testing.assert_array_equal(np.asarray(volume.data), array.transpose(1, 0, 2, 3))


def test_imagej_without_a_spacing_means_a_slice_distance_of_one(tmp_path):
    save_imagej(tmp_path / "a.tif", counted(4, 5, 7), "ZYX", unit="um", resolution=(2, 2))
    assert read_volume(tmp_path / "a.tif").spacing == pytest.approx((1, 0.5, 0.5))


def test_an_ome_tiff_in_nanometres_comes_in_micrometres(tmp_path):
    metadata = {"axes": "CZYX"}
    for axis, size, unit in (("X", 4.6, "nm"), ("Y", 4.6, "nm"), ("Z", 0.05, "µm")):
        metadata |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": unit}
    array = counted(2, 3, 5, 7)
    tifffile.imwrite(tmp_path / "a.ome.tif", array, ome=True, metadata=metadata, compression="zlib")
    volume = read_volume(tmp_path / "a.ome.tif")
    assert volume.spacing == pytest.approx((0.05, 0.0046, 0.0046))
    np.testing.assert_array_equal(np.asarray(volume.data), array)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_an_ome_zarr_gives_the_finest_level(tmp_path, version):
    array = counted(3, 8, 8)
    # the finest is put second, though the standard wants it first
    save_zarr(
        tmp_path / "a.zarr",
        array,
        version=version,
        axes=zyx_axes("nanometer"),
        scale=[500, 100, 100],
        sizes=(2, 1),
        global_scale=[1, 2, 2],
    )
    volume = read_volume(tmp_path / "a.zarr")
    np.testing.assert_array_equal(np.asarray(volume.data)[0], array)
    assert volume.spacing == pytest.approx((0.5, 0.2, 0.2))
    assert volume.unit == "um"


def test_an_ome_zarr_with_time_and_channels_of_any_order_is_put_in_order(tmp_path):
    array = counted(1, 3, 2, 8, 8)
    axes = [{"name": "t", "type": "time"}, zyx_axes("micrometer")[0], {"name": "c", "type": "channel"}]
    axes += zyx_axes("micrometer")[1:]
    save_zarr(tmp_path / "a.zarr", array, version="0.4", axes=axes, scale=[1, 3, 1, 2, 2])
    volume = read_volume(tmp_path / "a.zarr")
    np.testing.assert_array_equal(np.asarray(volume.data), array[0].transpose(1, 0, 2, 3))
    assert volume.spacing == (3, 2, 2)


def test_the_image_inside_a_bioformats2raw_folder_is_found(tmp_path):
    zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2).attrs["bioformats2raw.layout"] = 3
    axes = zyx_axes("micrometer")
    save_zarr(tmp_path / "a.zarr" / "0", counted(2, 4, 4), version="0.4", axes=axes, scale=[2, 1, 1])
    assert read_volume(tmp_path / "a.zarr").shape == (2, 4, 4)


def test_a_bare_zarr_array_is_read_without_metadata(tmp_path):
    zarr.save_array(tmp_path / "a.zarr", counted(2, 4, 4))
    np.testing.assert_array_equal(read_volume(tmp_path / "a.zarr", spacing=UM).data[0], counted(2, 4, 4))


@settings(max_examples=40)
@given(st.data())
def test_any_part_of_a_lazy_volume_equals_that_part_of_the_array(tmp_path_factory, data):
    shape = data.draw(st.tuples(*[st.integers(1, 5)] * 4))
    stored = data.draw(st.permutations("CZYX"))
    array = counted(*shape)
    path = tmp_path_factory.mktemp("lazy") / "a.zarr"
    axes = [{"name": a.lower(), "type": "channel" if a == "C" else "space"} for a in stored]
    in_file = array.transpose(["CZYX".index(a) for a in stored])
    save_zarr(path, in_file, version="0.5", axes=axes, scale=[2.0] * 4)
    lazy = read_volume(path).data
    key = tuple(
        data.draw(st.one_of(st.integers(-n, n - 1), st.slices(n)), label=f"axis {i}") for i, n in enumerate(shape)
    )[: data.draw(st.integers(0, 4))]
    np.testing.assert_array_equal(lazy[key], array[key])
    np.testing.assert_array_equal(np.asarray(lazy), array)


# axes


def test_the_given_channel_axis_wins(tmp_path):
    array = counted(3, 5, 7, 2)
    np.save(tmp_path / "a.npy", array)
    for axis in (3, -1):
        volume = read_volume(tmp_path / "a.npy", spacing=UM, channel_axis=axis)
        np.testing.assert_array_equal(np.asarray(volume.data), np.moveaxis(array, -1, 0))


def test_colours_are_channels_where_the_user_says_so(tmp_path):
    array = counted(40, 50, 3, dtype="uint8")
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="rgb")
    volume = read_volume(tmp_path / "a.tif", spacing=UM, channel_axis=2)
    np.testing.assert_array_equal(np.asarray(volume.data)[:, 0], np.moveaxis(array, -1, 0))


def test_a_plain_tiff_of_four_axes_wants_a_channel_axis(tmp_path):
    array = counted(2, 6, 5, 7)
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="minisblack")
    with pytest.raises(VolumeError, match="which one holds the channels, perhaps the one of 2") as refused:
        read_volume(tmp_path / "a.tif", spacing=UM)
    assert refused.value.option == "with --channel-axis 0"
    assert "--" not in refused.value.message, "the app says it, too"
    volume = read_volume(tmp_path / "a.tif", spacing=UM, channel_axis=0)
    np.testing.assert_array_equal(np.asarray(volume.data), array)


def test_axes_of_length_one_are_no_obstacle(tmp_path):
    np.save(tmp_path / "a.npy", counted(1, 1, 4, 5, 7))
    assert read_volume(tmp_path / "a.npy", spacing=UM).data.shape == (1, 4, 5, 7)


@pytest.mark.parametrize(
    ("array", "keywords", "words"),
    [
        (counted(40, 50, 3), {}, "RGB image .* take the colours as channels"),
        (counted(5), {}, "at least 2"),
        (counted(0, 4, 4), {}, "empty"),
        (counted(3, 4, 4).astype("complex64"), {}, "complex64"),
        (counted(3, 4, 4), {"channel_axis": 3}, "channel axis 3 is out of range"),
        (counted(2, 3, 4, 5, 6), {"channel_axis": 0}, "5 axes without names"),
        (counted(3, 4, 4), {"spacing": (0, 1, 1)}, "z spacing of a.npy is 0"),
        (counted(3, 4, 4), {"spacing": (1, -1, 1)}, "y spacing of a.npy is -1"),
        (counted(3, 4, 4), {"spacing": (1, 1, float("nan"))}, "x spacing of a.npy is nan"),
    ],
)
def test_an_image_without_a_meaning_is_refused(tmp_path, array, keywords, words):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(VolumeError, match=words):
        read_volume(tmp_path / "a.npy", **{"spacing": UM, **keywords})


def test_an_rgb_tiff_is_refused_with_a_way_out(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", counted(4, 40, 50, 3, dtype="uint8"), photometric="rgb")
    with pytest.raises(VolumeError, match=r"RGB image .* take the colours as channels") as refused:
        read_volume(tmp_path / "a.tif")
    assert refused.value.option == "with --channel-axis 3"


def test_a_stack_that_tifffile_took_for_planes_of_colour_is_a_stack(tmp_path):
    array = counted(3, 40, 50)
    tifffile.imwrite(tmp_path / "a.tif", array, photometric="rgb", planarconfig="separate")
    np.testing.assert_array_equal(np.asarray(read_volume(tmp_path / "a.tif", spacing=UM).data)[0], array)


def test_twenty_channels_of_one_slice_are_taken_for_slices_and_a_warning_says_so(tmp_path):
    array = counted(20, 5, 7)
    save_imagej(tmp_path / "a.tif", array, "CYX")
    with pytest.warns(AxesWarning, match="20 channels of one slice"):
        volume = read_volume(tmp_path / "a.tif", spacing=UM)
    np.testing.assert_array_equal(np.asarray(volume.data)[0], array)
    assert read_volume(tmp_path / "a.tif", spacing=UM, channel_axis=0).data.shape == (20, 1, 5, 7)


def test_a_time_series_is_refused_by_name(tmp_path):
    save_imagej(tmp_path / "a.tif", counted(6, 4, 5, 7), "TZYX")
    with pytest.raises(VolumeError, match=r"6 time points \(axis 0, T\)"):
        read_volume(tmp_path / "a.tif")


def test_a_second_channel_axis_is_refused(tmp_path):
    save_imagej(tmp_path / "a.tif", counted(4, 2, 5, 7), "ZCYX")
    with pytest.raises(VolumeError, match=r"axis 1 of a\.tif"):
        read_volume(tmp_path / "a.tif", channel_axis=0)


# spacing


def test_without_a_voxel_size_the_spacing_is_relative_and_a_warning_says_so(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", counted(3, 5, 7), photometric="minisblack")
    with pytest.warns(SpacingWarning, match="a.tif does not say how large a voxel is: taken"):
        volume = read_volume(tmp_path / "a.tif")
    assert (volume.spacing, volume.unit) == ((1, 1, 1), "relative")


def test_a_voxel_size_without_z_is_told_as_that(tmp_path):
    metadata = {"axes": "ZYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    tifffile.imwrite(tmp_path / "a.ome.tif", counted(3, 5, 7), metadata=metadata)
    with pytest.warns(SpacingWarning, match="a.ome.tif does not say how large a voxel is along z: taken as relative"):
        assert read_volume(tmp_path / "a.ome.tif").spacing == (1, 1, 1)


def test_the_given_spacing_wins_and_silences_bad_metadata(tmp_path):
    save_imagej(tmp_path / "a.tif", counted(3, 5, 7), "ZYX", spacing=-2, unit="um")
    with pytest.raises(VolumeError, match=r"z spacing of a\.tif is -2"):
        read_volume(tmp_path / "a.tif")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        volume = read_volume(tmp_path / "a.tif", spacing=(3, 2, 1))
    assert (volume.spacing, volume.unit) == ((3, 2, 1), "um")


def test_sizes_without_a_unit_are_ratios(tmp_path):
    save_imagej(tmp_path / "a.tif", counted(3, 5, 7), "ZYX", spacing=0.5, unit="pixel")
    volume = read_volume(tmp_path / "a.tif")
    assert (volume.spacing, volume.unit) == ((0.5, 1, 1), "relative")


UNITS = {"nm": 1e-3, "nanometers": 1e-3, "um": 1, "micron": 1, "microns": 1, "Micrometre": 1, "mm": 1e3, "cm": 1e4}
UNITS |= {"m": 1e6, "inch": 25400, "\N{MICRO SIGN}m": 1, "\N{GREEK SMALL LETTER MU}m": 1, r"\u00B5m": 1}
UNITS |= {"\N{ANGSTROM SIGN}": 1e-4, "pixel": None, "": None, "s": None, "ms": None}


@pytest.mark.parametrize(("word", "micrometres"), UNITS.items())
def test_a_unit_becomes_micrometres(word, micrometres):
    assert unit_in_micrometres(word) == micrometres


def test_a_single_slice_needs_no_thickness():
    assert spacing_from_metadata((None, 2.0, 3.0), ("", "nm", "nm"), n_slices=1, where="a") == (
        pytest.approx((0.002, 0.002, 0.003)),
        "um",
    )
    assert spacing_from_metadata((None, 2.0, 3.0), ("", "nm", "nm"), n_slices=2, where="a") is None


def test_spacing_is_read_from_the_command_line():
    assert parse_spacing("5, 0.994,1") == (5, 0.994, 1)
    for text in ("5,1", "5,a,1", "", "5,1,0", "5,1,inf"):
        with pytest.raises(VolumeError, match="spacing"):
            parse_spacing(text)


# damage


@pytest.mark.parametrize("kind", ["plain", "zlib", "imagej", "ome", "pages", "bigtiff"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.3, 0.6, 0.9])
def test_a_truncated_tiff_is_refused(tmp_path, kind, kept):
    path = tmp_path / "a.tif"
    array = np.random.default_rng(0).integers(0, 255, (20, 32, 32), dtype=np.uint8)
    keywords = {
        "plain": {},
        "zlib": {"compression": "zlib"},
        "imagej": {"imagej": True, "metadata": {"axes": "ZYX"}},
        "ome": {"ome": True, "metadata": {"axes": "ZYX"}, "compression": "zlib"},
        "pages": {"metadata": None, "compression": "zlib"},
        "bigtiff": {"bigtiff": True},
    }
    tifffile.imwrite(path, array, photometric="minisblack", **keywords[kind])
    assert read_volume(path, spacing=UM).shape == (20, 32, 32)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * kept)])
    with pytest.raises(VolumeError, match=r"a\.tif"):
        read_volume(path, spacing=UM)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_a_tiff_whose_voxels_are_cut_and_whose_headers_are_whole_is_refused(tmp_path, compression):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.random.default_rng(0).random((64, 64)), compression=compression)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(VolumeError, match=r"a\.tif is truncated"):
        read_volume(path, spacing=UM)


def test_a_tiff_that_is_damaged_inside_says_so_when_it_is_read(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.random.default_rng(0).random((6, 32, 32)), compression="zlib")
    with tifffile.TiffFile(path) as tif:
        offset = tif.pages[2].dataoffsets[0]
    content = bytearray(path.read_bytes())
    content[offset : offset + 64] = b"\xff" * 64
    path.write_bytes(content)
    volume = read_volume(path, spacing=UM)
    with pytest.raises(VolumeError, match=r"cannot read a\.tif"):
        check_image(volume)


def test_files_that_are_not_there_or_of_another_kind_are_refused(tmp_path):
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "b.tif").write_text("this is no image at all")
    (tmp_path / "c.npy").write_bytes(b"\x93NUMPY")
    (tmp_path / "d.zarr").mkdir()
    (tmp_path / "e").mkdir()
    np.save(tmp_path / "f.npy", counted(3, 4, 4))
    (tmp_path / "f.npy").write_bytes((tmp_path / "f.npy").read_bytes()[:-8])
    zarr.open_group(tmp_path / "g.zarr", mode="w")
    zarr.open_group(tmp_path / "h.zarr", mode="w").attrs["ome"] = {"multiscales": [{"axes": []}]}
    reasons = {
        "z.tif": "does not exist",
        "a.txt": "unknown kind",
        "b.tif": "not a TIFF",
        "c.npy": "cannot read",
        "d.zarr": "not a zarr",
        "e": "is a folder",
        "f.npy": "truncated",
        "g.zarr": "no OME-Zarr image",
        "h.zarr": "metadata are damaged",
    }
    for name, words in reasons.items():
        with pytest.raises(VolumeError, match=words):
            read_volume(tmp_path / name, spacing=UM)


@settings(max_examples=60)
@given(st.binary(max_size=200))
def test_no_bytes_make_the_tiff_reader_fail_in_another_way(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("bytes") / "a.tif"
    for start in (b"", b"II*\0", b"MM\0*\0\0\0\x08", b"II*\0\x08\0\0\0"):
        path.write_bytes(start + content)
        with pytest.raises(VolumeError):
            read_volume(path, spacing=UM)


# checks


@pytest.mark.parametrize(("value", "word"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")])
def test_a_voxel_that_is_no_number_is_named(value, word):
    data = np.random.default_rng(0).random((2, 4, 5, 6))
    data[1, 2, 3, 4] = value
    with pytest.raises(VolumeError, match=rf"holds {word} at z 2, y 3, x 4 \(channel 1\)"):
        check_image(Volume(data))


def test_a_constant_image_is_refused():
    with pytest.raises(VolumeError, match=r"constant .* 3"):
        check_image(Volume(np.full((1, 4, 5, 6), 3)))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (counted(4, 5, 6), r"raw have 3 axes, shape \(4, 5, 6\): give them as \(C, Z, Y, X\); array\[None\] adds"),
        (counted(1, 2, 4, 5, 6), r"raw have 5 axes, shape \(1, 2, 4, 5, 6\): give them as \(C, Z, Y, X\)$"),
        (counted(1, 4, 5, 6).astype(complex), "raw holds complex128, not whole or real numbers"),
        (counted(1, 4, 5, 6)[:, :0], r"raw is empty: its shape is \(1, 0, 5, 6\)"),
        (counted(1, 4, 5, 6).tolist(), "data of raw are no array but a list"),
    ],
)
def test_data_that_are_no_volume_are_refused(data, words):
    with pytest.raises(VolumeError, match=words):
        check_image(Volume(data, name="raw"))


@pytest.mark.parametrize(
    ("spacing", "words"),
    [
        ((-1, 1, 1), "z spacing of raw is -1: it must be positive"),
        ((1, 0, 1), "y spacing of raw is 0"),
        ((1, 1, np.nan), "x spacing of raw is nan"),
        ((1, 1), "spacing of raw has 2 numbers, not 3"),
        (2.0, r"spacing of raw is 2.0: give three numbers \(z, y, x\)"),
        (("a", "b", "c"), "spacing of raw is .*: give three numbers"),
    ],
)
def test_a_volume_with_a_spacing_that_cannot_be_is_refused(spacing, words):
    with pytest.raises(VolumeError, match=words):
        check_image(Volume(counted(1, 4, 5, 6), spacing, name="raw"))


@pytest.mark.parametrize("spacing", [[2, 1, 1], np.array([2, 1, 1], np.float32)])
def test_a_spacing_may_be_a_list_or_an_array(spacing):
    volume = Volume(counted(1, 4, 5, 6), spacing)
    assert volume.spacing == (2.0, 1.0, 1.0)
    assert json.dumps(volume.spacing) == "[2.0, 1.0, 1.0]"


@pytest.mark.slow
def test_a_voxel_is_named_beyond_the_first_block_too():
    per_slice = np.array([0.0, 1.0, np.nan], np.float32).reshape(1, 3, 1, 1)
    with pytest.raises(VolumeError, match="at z 2, y 0, x 0"):
        check_image(Volume(np.broadcast_to(per_slice, (1, 3, 4096, 4097))))


@pytest.mark.parametrize("shape", [(1, 1, 2), (2, 1, 1), (1, 4, 5)])
def test_a_small_image_that_varies_passes(shape):
    check_image(Volume(counted(1, *shape)))
    check_image(Volume(counted(1, *shape) > 0))


def test_one_empty_channel_beside_another_passes():
    check_image(Volume(np.stack([np.zeros((3, 4, 5)), counted(3, 4, 5)])))


def test_channels_last_are_noticed():
    with pytest.raises(VolumeError, match="looks like channels"):
        check_image(Volume(counted(1, 64, 64, 2)))


@settings(max_examples=40)
@given(arrays(np.float32, (1, 3, 2, 2), elements=st.sampled_from([0.0, 1.0, np.nan, np.inf])))
def test_the_check_agrees_with_a_plain_one(data):
    fine = bool(np.isfinite(data).all() and data.min() < data.max())
    if fine:
        check_image(Volume(data))
    else:
        with pytest.raises(VolumeError):
            check_image(Volume(data))


def test_importing_io_loads_no_format_library_and_no_torch():
    code = (
        "import sys, json, napari_weak3d.io.volumes, napari_weak3d.io.annotations;"
        "print(json.dumps([m for m in ('torch', 'tifffile', 'zarr', 'scipy', 'dask') if m in sys.modules]))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(found.stdout) == []


@pytest.mark.parametrize("value", [1e39, -1e39])
def test_a_voxel_beyond_float32_is_named(value):
    data = np.zeros((1, 3, 4, 5))
    data[0, 1, 2, 3] = value
    with pytest.raises(VolumeError, match=r"1e\+39 at z 1, y 2, x 3 .*largest number to work with is 3.4e\+38"):
        check_image(Volume(data))


def test_a_half_precision_image_with_an_infinite_voxel_is_told_where():
    data = np.zeros((1, 3, 4, 5), np.float16)
    data[0, 1, 2, 3] = np.inf
    with pytest.raises(VolumeError, match="inf at z 1, y 2, x 3"):
        check_image(Volume(data))
