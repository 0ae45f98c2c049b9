"""The table of objects: drawn boxes with known measures."""

from __future__ import annotations

import csv
import math

import numpy as np
import pytest

from napari_weak3d.errors import VolumeError
from napari_weak3d.measure import measure_objects, write_measures
from napari_weak3d.types import Volume


def draw_two(shape=(6, 10, 12)):
    """A block of 2 x 3 x 4 voxels inside, and one voxel in a corner; the ids leave gaps."""
    labels = np.zeros(shape, np.int32)
    labels[1:3, 2:5, 4:8] = 7
    labels[-1, -1, -1] = 70_000
    return labels


def test_a_block_has_the_volume_centroid_and_box_it_was_drawn_with_in_micrometres():
    block, corner = measure_objects(draw_two(), spacing=(2.0, 0.5, 0.25), unit="um")
    assert (block.id, corner.id, block.unit) == (7, 70_000, "um")
    assert (block.n_voxels, block.volume) == (24, pytest.approx(24 * 0.25))
    assert block.centroid == pytest.approx((1.5 * 2, 3 * 0.5, 5.5 * 0.25))
    assert block.box_vox == ((1, 2, 4), (3, 5, 8))
    assert block.box == (pytest.approx((1.0, 0.75, 0.875)), pytest.approx((5.0, 2.25, 1.875)))
    assert math.pi / 6 * block.equivalent_diameter**3 == pytest.approx(block.volume)
    assert corner.centroid == pytest.approx((5 * 2, 9 * 0.5, 11 * 0.25))


def test_the_box_in_micrometres_spans_the_objects_volume_where_it_is_a_block():
    block, _ = measure_objects(draw_two(), spacing=(2.0, 0.5, 0.25), unit="um")
    assert np.prod(np.subtract(*reversed(block.box))) == pytest.approx(block.volume)


def test_only_objects_at_an_edge_touch_the_border():
    assert [row.touches_border for row in measure_objects(draw_two(), spacing=(1, 1, 1), unit="um")] == [False, True]


def test_a_one_slice_stack_has_no_z_border():
    labels = np.zeros((1, 8, 8), np.int32)
    labels[0, 3:5, 3:5] = 1
    labels[0, 7, 7] = 2
    assert [row.touches_border for row in measure_objects(labels, spacing=(1, 1, 1), unit="um")] == [False, True]


def test_intensities_are_taken_per_channel_from_the_objects_own_voxels():
    labels = draw_two()
    data = np.full((2, *labels.shape), 1000, np.uint16)  # outside the objects: must not count
    data[0][labels == 7] = 10
    data[0, 1, 2, 4] = 34
    data[1][labels == 7] = 3
    data[:, -1, -1, -1] = (60_000, 5)
    block, corner = measure_objects(labels, volume=Volume(data), spacing=(1, 1, 1), unit="relative")
    assert (block.mean_intensity, block.max_intensity) == ((11.0, 3.0), (34.0, 3.0))
    assert (corner.mean_intensity, corner.max_intensity) == ((60_000.0, 5.0), (60_000.0, 5.0))


def test_negative_intensities_have_a_negative_maximum():
    labels = draw_two()
    (block, _) = measure_objects(labels, volume=Volume(-np.ones((1, *labels.shape))), spacing=(1, 1, 1), unit="um")
    assert block.max_intensity == (-1.0,)


def test_an_object_in_two_parts_is_one_row():
    labels = np.zeros((1, 1, 9), np.int32)
    labels[0, 0, [1, 7]] = 5
    (row,) = measure_objects(labels, spacing=(1, 1, 1), unit="um")
    assert (row.n_voxels, row.centroid, row.box_vox) == (2, (0, 0, 4), ((0, 0, 1), (1, 1, 8)))


def test_labels_without_objects_give_no_rows_and_a_header_alone(tmp_path):
    rows = measure_objects(np.zeros((3, 4, 5), np.int32), spacing=(1, 1, 1), unit="um")
    write_measures(tmp_path / "objects.csv", rows)
    assert rows == []
    (header,) = read_lines(tmp_path / "objects.csv")
    assert header[:2] == ["id", "unit"]


def test_the_table_reads_back_with_every_value_under_its_name(tmp_path):
    labels = draw_two()
    volume = Volume(np.stack([labels, 2 * labels]))
    rows = measure_objects(labels, volume=volume, spacing=(2.0, 0.5, 0.25), unit="um")
    write_measures(tmp_path / "objects.csv", rows)
    header, *lines = read_lines(tmp_path / "objects.csv")
    block = dict(zip(header, lines[0], strict=True))
    assert len(lines) == 2
    assert (block["id"], block["unit"], block["touches_border"]) == ("7", "um", "0")
    assert [float(block[f"centroid_{axis}"]) for axis in "zyx"] == pytest.approx(rows[0].centroid)
    assert [int(block[f"box_{corner}_vox"]) for corner in ("z0", "y0", "x0", "z1", "y1", "x1")] == [1, 2, 4, 3, 5, 8]
    assert [float(block[f"box_{corner}"]) for corner in ("z0", "y1")] == pytest.approx([1.0, 2.25])
    assert [float(block[f"{kind}_intensity_{c}"]) for kind in ("mean", "max") for c in (0, 1)] == [7, 14, 7, 14]


def test_an_image_of_another_shape_is_refused():
    with pytest.raises(VolumeError, match=r"\(6, 10, 12\).*\(2, 3, 4\)"):
        measure_objects(draw_two(), volume=Volume(np.zeros((1, 2, 3, 4))), spacing=(1, 1, 1), unit="um")


def read_lines(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_an_object_is_of_the_class_that_most_of_its_voxels_have(tmp_path):
    labels = np.zeros((2, 4, 4), np.int32)
    labels[0, :, :2], labels[1, 3, 3] = 1, 5
    classes = np.where(labels == 1, 3, 1)
    classes[0, 0, 0] = classes[1, 3, 3] = 2
    rows = measure_objects(labels, classes=classes, class_names={2: "rod", 3: "ball"}, spacing=(1, 1, 1), unit="um")
    assert [row.class_name for row in rows] == ["ball", "rod"]
    write_measures(tmp_path / "objects.csv", rows)
    with open(tmp_path / "objects.csv", newline="") as file:
        assert [row["class"] for row in csv.DictReader(file)] == ["ball", "rod"]


def test_classes_of_another_shape_are_refused():
    with pytest.raises(VolumeError, match="their classes"):
        measure_objects(np.ones((2, 2, 2), np.int32), classes=np.ones((2, 2, 3)), spacing=(1, 1, 1), unit="um")
