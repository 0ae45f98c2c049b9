import numpy as np
import pytest

from napari_weak3d.nn.voxels import compare_voxels, in_lengths_of
from napari_weak3d.types import RELATIVE, Volume


@pytest.mark.parametrize(
    ("spacing", "unit", "factor"),
    [
        ((2, 1, 1), "um", 1),
        ((2, 0.5, 1), "um", 2),
        ((6, 1, 1), "um", 3),
        ((0.2, 0.1, 0.1), "um", 10),
        ((0.2, 0.1, 0.1), RELATIVE, 1),
        ((1, 1, 1), RELATIVE, 2),
    ],
)
def test_voxels_are_compared_by_size_where_it_is_known_else_by_shape(spacing, unit, factor):
    volume = Volume(np.zeros((1, 2, 2, 2)), spacing, unit)
    assert compare_voxels(volume, spacing=(2, 1, 1), unit="um") == pytest.approx(factor)


def test_where_only_shapes_count_the_plane_is_that_across_the_stack():
    volume = Volume(np.zeros((1, 2, 2, 2)), (3, 6, 3), RELATIVE)
    assert compare_voxels(volume, spacing=(1, 2, 1), unit="um", along=1) == pytest.approx(1)


@pytest.mark.parametrize(
    ("spacing", "unit", "trained_unit", "expected"),
    [
        ((0.3, 0.1, 0.1), "um", "um", (0.3, 0.1, 0.1)),
        ((0.3, 0.1, 0.1), "um", RELATIVE, (3, 1, 1)),
        ((0.3, 0.1, 0.1), RELATIVE, "um", (3, 1, 1)),
        ((3, 0.5, 2), RELATIVE, RELATIVE, (3, 0.5, 2)),
    ],
)
def test_where_a_unit_is_unknown_lengths_count_in_voxels_of_the_plane(spacing, unit, trained_unit, expected):
    volume = Volume(np.zeros((1, 2, 2, 2)), spacing, unit)
    measured = in_lengths_of(volume, spacing=(2, 1, 1), unit=trained_unit)
    assert measured.spacing == pytest.approx(expected)
    assert measured.unit == trained_unit
