"""The tool on napari's model of a viewer, with a hand that draws."""

import numpy as np
import pytest
from napari.components import ViewerModel

from napari_weak3d.app.layers import Layers
from napari_weak3d.app.tool_layers import ToolLayers
from napari_weak3d.app.tools.boxes.tool import BoxesTool

SHAPE = (12, 40, 50)
SCALE = (3.0, 1.0, 1.0)


@pytest.fixture
def viewer(qapp):
    return ViewerModel()


@pytest.fixture
def layers(viewer):
    layers = Layers(viewer)
    yield layers
    layers.close()


@pytest.fixture
def tool_layers(viewer):
    tools = ToolLayers(viewer)
    yield tools
    tools.close()


@pytest.fixture
def image(viewer):
    """One bright block in the dark."""
    data = np.zeros(SHAPE, np.float32)
    data[3:7, 10:20, 15:30] = 1
    return viewer.add_image(data, name="cells", scale=SCALE, translate=(5, 6, 7), units=("um",) * 3)


@pytest.fixture
def tool(layers, tool_layers, image, qtbot):
    tool = BoxesTool(layers, tool_layers)
    qtbot.addWidget(tool.panel)
    tool.begin(image)
    layers.go_to((0, 4), image)
    yield tool
    tool.end()


class Hand:
    """Changes shapes as napari does when the mouse is released: with an event for data, and once more for nothing."""

    def __init__(self, tool, image, qtbot):
        self._tool, self._image, self._qtbot = tool, image, qtbot

    @property
    def layer(self):
        return self._tool.work.canvas.layer

    def corners_in(self, layer, low, high):
        """Corners of a rectangle, from the low to the high edge in voxels of the plane, in the layer's data."""
        axis, index = self._tool.work.shown()
        voxels = np.empty((4, 3))
        voxels[:, axis] = index
        rows, columns = (each for each in range(3) if each != axis)
        (r0, c0), (r1, c1) = np.subtract(low, 0.5), np.subtract(high, 0.5)
        voxels[:, rows], voxels[:, columns] = (r0, r0, r1, r1), (c0, c1, c1, c0)
        return np.array([layer.world_to_data(self._image.data_to_world(each)) for each in voxels])

    def draw(self, low, high):
        """Draw a rectangle; gives the ids that are chosen then."""
        self.layer.add([self.corners_in(self.layer, low, high)], shape_type="rectangle")
        self.layer.events.data(value=self.layer.data, action="added", data_indices=(-1,), vertex_indices=((),))
        self.rest()
        return self._tool.work.chosen

    def drag(self, number, low, high):
        """Move or resize a shape."""
        self.layer._data_view.edit(number, self.corners_in(self.layer, low, high))
        for _ in range(2):
            self.layer.events.data(
                value=self.layer.data, action="changed", data_indices=(number,), vertex_indices=((0, 1, 2, 3),)
            )
        self.rest()

    def rest(self):
        self._qtbot.wait(1)


@pytest.fixture
def hand(tool, image, qtbot):
    return Hand(tool, image, qtbot)
