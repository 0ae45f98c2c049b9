"""The images of a project: known again, also elsewhere; time points and channels; images that no file gives."""

import os
from dataclasses import replace

import numpy as np
import pytest
import tifffile
import zarr

from napari_weak3d.errors import VolumeError
from napari_weak3d.io.project import (
    check_source,
    describe_file,
    fingerprint,
    identity,
    read_project_image,
    store_volume,
)
from napari_weak3d.io.volumes import read_volume, write_image
from napari_weak3d.types import Volume

SHAPE = (6, 20, 30)


def save(path, value):
    write_image(path, np.full(SHAPE, value, float), spacing=(1, 1, 1), unit="um")


# known again


def test_an_untouched_image_is_the_same(project, image):
    assert check_source(project, image.id) == "same"


def test_a_newer_date_alone_is_no_change(project, image, raw):
    os.utime(raw, (1, 1))
    assert check_source(project, image.id) == "same"
    assert read_project_image(project.folder, image.id).shape == SHAPE


def test_a_changed_image_is_noticed_also_with_its_old_size_and_date(project, image, raw):
    content, dates = bytearray(raw.read_bytes()), (raw.stat().st_atime_ns, raw.stat().st_mtime_ns)
    content[len(content) // 2] ^= 1
    raw.write_bytes(content)
    os.utime(raw, ns=dates)
    assert check_source(project, image.id) == "changed"
    with pytest.raises(VolumeError, match="has changed since"):
        read_project_image(project.folder, image.id)


def test_a_changed_image_can_be_accepted(project, image, raw):
    save(raw, 7)
    assert check_source(project, image.id) == "changed"
    project.replace_image(replace(describe_file(raw), id=image.id))
    assert check_source(project, image.id) == "same"
    assert (np.asarray(read_project_image(project.folder, image.id).data) == 7).all()


def test_a_missing_image_is_named(project, image, raw):
    raw.unlink()
    assert check_source(project, image.id) == "missing"
    with pytest.raises(VolumeError, match=r"raw\.tif is not at .*: put it back"):
        read_project_image(project.folder, image.id)


def test_an_image_put_beside_the_project_is_found(project, image, raw):
    raw.rename(project.folder.parent / raw.name)
    assert check_source(project, image.id) == "moved"
    assert read_project_image(project.folder, image.id).shape == SHAPE


def test_another_image_of_the_same_name_beside_the_project_is_not_taken(project, image, raw):
    raw.unlink()
    save(project.folder.parent / raw.name, 7)
    assert check_source(project, image.id) == "missing"


@pytest.mark.parametrize("place", [0, 505, 1000])
def test_blocks_of_a_large_file_are_sampled_with_its_ends(tmp_path, monkeypatch, place):
    monkeypatch.setattr(identity, "_WHOLE_BYTES", 512)
    monkeypatch.setattr(identity, "_BLOCK_BYTES", 8)
    path = tmp_path / "a.npy"
    content = bytearray(1001)
    path.write_bytes(content)
    before = fingerprint(path)
    content[place] = 1
    path.write_bytes(content)
    assert fingerprint(path).digest != before.digest


def make_zarr(path, array):
    group = zarr.open_group(path, mode="w", zarr_format=3)
    group.create_array("0", shape=array.shape, dtype=array.dtype, chunks=(2, 8, 8))[...] = array
    datasets = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1, 1, 1]}]}]
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    group.attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": datasets}]}
    return path


def test_a_zarr_folder_is_known_again(project, tmp_path):
    array = np.random.default_rng(0).integers(0, 99, SHAPE).astype("uint16")
    path = make_zarr(tmp_path / "a.zarr", array)
    entry = project.add_image(describe_file(path))
    assert check_source(project, entry.id) == "same"
    array[3, :8, :8] = 0
    make_zarr(path, array)
    assert check_source(project, entry.id) == "changed"


# time points and channels


@pytest.fixture
def series(tmp_path):
    """(T, Z, C, Y, X) as ImageJ keeps it."""
    path = tmp_path / "series.tif"
    array = np.arange(3 * 4 * 2 * 8 * 9, dtype="uint16").reshape(3, 4, 2, 8, 9)
    tifffile.imwrite(
        path, array, imagej=True, resolution=(1, 1), metadata={"axes": "TZCYX", "spacing": 2, "unit": "um"}
    )
    return path, array


def test_one_time_point_is_read_from_a_series(series):
    path, array = series
    volume = read_volume(path, time_index=1)
    np.testing.assert_array_equal(np.asarray(volume.data), array[1].transpose(1, 0, 2, 3))
    assert volume.spacing == (2.0, 1.0, 1.0)


@pytest.mark.parametrize("compression", [None, "zlib"])
def test_one_time_point_of_four_unnamed_axes(tmp_path, compression):
    array = np.arange(5 * 4 * 8 * 9, dtype="uint16").reshape(5, 4, 8, 9)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, array, compression=compression, photometric="minisblack")
    np.testing.assert_array_equal(np.asarray(read_volume(path, time_index=2).data)[0], array[2])
    volume = read_volume(path, time_index=2)
    np.testing.assert_array_equal(np.asarray(volume.data[0, 1:3]), array[2, 1:3])


def test_channels_are_counted_with_the_time_axis(tmp_path):
    array = np.arange(3 * 2 * 4 * 8 * 9, dtype="uint16").reshape(3, 2, 4, 8, 9)
    np.save(tmp_path / "a.npy", array)
    for axis in (1, -4):
        volume = read_volume(tmp_path / "a.npy", time_index=1, channel_axis=axis)
        np.testing.assert_array_equal(np.asarray(volume.data), array[1])
    first = read_volume(tmp_path / "a.npy", time_index=1, channel_axis=0)
    np.testing.assert_array_equal(np.asarray(first.data), array[:, 1])


@pytest.mark.parametrize(("index", "words"), [(3, "there is no 3"), (-1, "there is no -1")])
def test_a_time_point_that_is_not_there_is_refused(series, index, words):
    with pytest.raises(VolumeError, match=f"3 time points, 0 to 2: {words}"):
        read_volume(series[0], time_index=index)


def test_a_stack_has_no_time_points(raw):
    with pytest.raises(VolumeError, match="no time axis"):
        read_volume(raw, time_index=0)


@pytest.mark.filterwarnings("ignore::napari_weak3d.io.spacing.SpacingWarning")  # a plain TIFF says no voxel size
@pytest.mark.parametrize("channels", [(0,), (1,), (1, 0), (0, 1)])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_the_chosen_channels_of_a_time_point_come_in_their_order(project, tmp_path, channels, compression):
    array = np.arange(3 * 4 * 2 * 8 * 9, dtype="uint16").reshape(3, 4, 2, 8, 9)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, array, compression=compression, metadata={"axes": "TZCYX"}, ome=True)
    entry = project.add_image(describe_file(path, time_index=2, channels=channels))
    assert entry.shape == (4, 8, 9)
    data = read_project_image(project.folder, entry.id).data
    expected = array[2].transpose(1, 0, 2, 3)[list(channels)]
    np.testing.assert_array_equal(np.asarray(data), expected)
    np.testing.assert_array_equal(np.asarray(data[0, 1:3]), expected[0, 1:3])
    np.testing.assert_array_equal(np.asarray(data[:, 2, ..., 3]), expected[:, 2, ..., 3])
    np.testing.assert_array_equal(np.asarray(data[..., 3]), expected[..., 3])
    assert data.shape == expected.shape


def test_a_channel_that_is_not_there_is_refused(series):
    with pytest.raises(VolumeError, match="there is no channel 2"):
        describe_file(series[0], time_index=0, channels=(0, 2))


# images that no file gives


def test_a_stored_volume_comes_back_and_goes_with_the_project(project, tmp_path):
    data = np.random.default_rng(0).integers(0, 9, (2, 40, 8, 9)).astype("uint8")
    parts = []
    entry = store_volume(project, Volume(data, spacing=(2, 1, 1), unit="um", name="layer"), progress=parts.append)
    assert parts == [0.25, 0.5, 0.75, 1.0]
    assert project.images == ()
    project.add_image(entry)
    project.close()
    project.folder.rename(tmp_path / "moved")
    volume = read_project_image(tmp_path / "moved", entry.id)
    np.testing.assert_array_equal(np.asarray(volume.data), data)
    assert (volume.spacing, volume.unit, volume.name) == ((2.0, 1.0, 1.0), "um", "layer")


def test_a_volume_whose_storing_is_given_up_leaves_nothing(project):
    def give_up(_part):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store_volume(project, Volume(np.ones((1, *SHAPE))), progress=give_up)
    assert list((project.folder / "images").iterdir()) == []


def test_a_stored_image_that_is_gone_is_missing(project):
    entry = project.add_image(store_volume(project, Volume(np.ones((1, *SHAPE)))))
    (project.folder / entry.path).rename(project.folder / "gone")
    assert check_source(project, entry.id) == "missing"
