"""Which boxes a preview shows."""

import numpy as np

from napari_weak3d.methods.boxes.previewing import find_whole

BOXES = np.array([[[z0, 0, 0], [z1, 4, 4]] for z0, z1 in [(4, 7), (6, 12), (2, 5), (10, 14), (5, 9)]])


def test_a_box_that_the_looked_at_part_cuts_is_shown_only_where_it_crosses_the_slice():
    assert find_whole(BOXES, (0, 8), part=(4, 14), size=20).tolist() == [False, True, False, False, True]
    assert find_whole(BOXES, (0, 5), part=(4, 14), size=20).tolist() == [True, True, False, False, True]


def test_the_ends_of_the_volume_cut_nothing():
    assert find_whole(BOXES, (0, 8), part=(0, 14), size=14).all()
