"""How large patches are, and how they shrink."""

import pytest

from napari_weak3d.errors import ConfigError
from napari_weak3d.nn.patch_size import PatchSize, fit_patch


@pytest.mark.parametrize(
    ("sides", "multiple", "shape"),
    [
        ((20, 33, 64), (4, 8, 8), (20, 40, 64)),
        ((1, 1, 1), (1, 8, 8), (1, 16, 16)),
        ((8, 8, 8), (4, 4, 4), (12, 8, 8)),
        ((2, 5, 5), (1, 1, 1), (3, 5, 5)),
        ((3.2, 9.1, 16), (1, 8, 8), (4, 16, 16)),
    ],
)
def test_sides_are_rounded_up_to_what_a_network_takes_and_never_two_deep(sides, multiple, shape):
    assert fit_patch(sides, multiple=multiple) == shape


def test_batches_shrink_before_patches_and_those_along_their_longest_side_until_nothing_is_left():
    size = PatchSize((16, 64, 32), 3, (4, 8, 8))
    smaller = size.smaller(width=8)
    assert (smaller.shape, smaller.batch) == ((16, 64, 32), 1)
    assert smaller.describe_after(size) == "out of memory: going on with 1 patches a step"
    halved = smaller.smaller(width=8)
    assert halved.shape == (16, 32, 32)
    assert halved.describe_after(smaller).endswith("patches of 16 x 32 x 32 voxels")
    smallest = halved.smaller(width=8).smaller(width=8)
    assert smallest.shape == (16, 16, 16)
    with pytest.raises(ConfigError, match="16 x 16 x 16 voxels"):
        smallest.smaller(width=8)
