"""Previews: any slice along any axis, at a cost that is bounded."""

import numpy as np
import pytest

from napari_weak3d.methods.slices.object_targets import make_object_maps
from napari_weak3d.methods.slices.previewing import count_affordable, preview_slice
from napari_weak3d.methods.slices.scheme import Scheme
from napari_weak3d.nn.slabs import SlabView


@pytest.mark.parametrize(
    ("shape", "axis", "count"),
    [((64, 512, 512), 0, 15), ((64, 512, 512), 1, 1), ((26, 320, 320), 2, 5), ((4, 4096, 4096), 0, 1)],
)
@pytest.mark.parametrize("stack_axis", [0, 1, 2])
def test_on_a_processor_large_previews_ask_fewer_networks(shape, axis, count, stack_axis):
    view = SlabView(np.broadcast_to(np.float32(0), (2, *shape)), (-1, 0, 1))
    scheme = Scheme("classes", (), stack_axis=stack_axis, channels=1, spacing=(1, 1, 1), unit="um")
    in_order = [stack_axis, *(other for other in range(3) if other != stack_axis)]
    assert count_affordable(view, (in_order[axis], 3), scheme=scheme) == count


class PerfectEnsemble:
    """Stands for networks that see the objects as they are."""

    scheme = Scheme("objects", (), stack_axis=0, channels=1, spacing=(1, 1, 1), unit="um")

    def __init__(self, ids):
        maps = np.stack([make_object_maps(plane, spacing=(1, 1)) for plane in ids], axis=1)
        foreground, touch, core = maps
        self._outputs = np.stack([1 - foreground, foreground - touch, touch, core])

    def n_outputs(self):
        return len(self._outputs)

    def predict(self, box, *, out):
        out[...] = self._outputs[:, box.at]
        yield 1, 1


class Box(SlabView):
    """A view that remembers which planes of the stack were cut out of it."""

    at = slice(None)

    def __getitem__(self, where):
        cut = Box(self.image, self.offsets)
        cut.at = where[1]
        return cut

    @property
    def shape(self):
        channels, depth, *plane = super().shape
        return channels, len(range(depth)[self.at]), *plane


def test_a_preview_of_objects_tells_touching_ones_apart():
    ids = np.zeros((3, 20, 24), np.int32)
    ids[1, 4:16, 3:12] = 5
    ids[1, 4:16, 12:21] = 9
    view = Box(np.zeros((1, *ids.shape), np.float32), (-1, 0, 1))
    preview = preview_slice(view, (0, 1), ensemble=PerfectEnsemble(ids), biases=(0, 0, 0), sample=0)
    left, right = preview.labels[8, 6], preview.labels[8, 18]
    assert left != right
    np.testing.assert_array_equal(preview.labels, np.select([ids[1] == 5, ids[1] == 9], [left, right], 0))
