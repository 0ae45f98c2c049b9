"""Components that anchors split."""

import numpy as np
import pytest

from napari_weak3d.methods.boxes.splitting import split_components

SHAPE = (6, 8, 24)
LEFT, RIGHT, BOTH = ((2, 2, 2), (5, 6, 8)), ((2, 2, 8), (5, 6, 14)), ((2, 2, 2), (5, 6, 14))


def draw(*boxes):
    labels = np.zeros(SHAPE, np.int32)
    for number, (low, high) in enumerate(boxes, start=1):
        labels[tuple(slice(*along) for along in zip(low, high, strict=True))] = number
    return labels


@pytest.fixture
def inside():
    """Faint where two objects meet."""
    maps = np.full(SHAPE, 0.9, np.float32)
    maps[:, :, 7:9] = 0.6
    return maps


def test_a_component_that_two_objects_fill_is_split_between_them(inside):
    core_left, core_right = ((2, 2, 2), (5, 6, 7)), ((2, 2, 9), (5, 6, 14))
    labels = split_components(draw(BOTH, ((0, 0, 18), (2, 3, 20))), draw(core_right, core_left), inside)
    assert sorted(np.unique(labels)) == [0, 1, 2, 3]
    assert len({int(labels[3, 3, 3]), int(labels[3, 3, 12])}) == 2
    assert np.array_equal(labels > 0, draw(BOTH, ((0, 0, 18), (2, 3, 20))) > 0), "no voxel comes or goes"
    assert (labels[0:2, 0:3, 18:20] == 2).all(), "other components stay"


@pytest.mark.parametrize(
    "objects",
    [
        (),
        (BOTH,),
        (LEFT,),
        (((2, 2, 2), (5, 6, 4)), ((2, 2, 12), (5, 6, 14))),  # they cover a third
        (BOTH, ((2, 2, 8), (5, 3, 9))),  # one, and a speck
        (LEFT, ((2, 2, 12), (5, 6, 20))),  # the other lies mostly outside
    ],
)
def test_what_objects_do_not_explain_stays(objects, inside):
    component = draw(BOTH)
    assert np.array_equal(split_components(component, draw(*objects), inside), component)


def test_without_components_there_is_nothing_to_split(inside):
    assert not split_components(draw(), draw(LEFT), inside).any()
