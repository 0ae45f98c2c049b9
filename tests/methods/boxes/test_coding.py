import math

import torch
from hypothesis import given
from hypothesis import strategies as st

from napari_weak3d.methods.boxes.coding import decode, encode

NUMBERS = st.floats(-100, 100, width=32)
SIZES = st.floats(1, 60, width=32)


@st.composite
def boxes(draw):
    low = [draw(NUMBERS) for _ in range(3)]
    return [low, [at + draw(SIZES) for at in low]]


def test_each_axis_is_told_by_its_own_centre_and_size():
    anchor = torch.tensor([[[0.0, 0, 0], [2, 4, 8]]])  # centre 1, 2, 4
    box = torch.tensor([[[1.0, 0, 0], [3, 8, 16]]])  # centre 2, 4, 8, size 2, 8, 16
    expected = [[0.5, 0.5, 0.5, 0, math.log(2), math.log(2)]]
    torch.testing.assert_close(encode(box, anchor), torch.tensor(expected))


def test_shifts_along_y_and_x_are_not_mixed_up():
    anchor = torch.tensor([[[0.0, 0, 0], [2, 4, 8]]])
    moved_in_x = anchor + torch.tensor([0.0, 0, 2])
    torch.testing.assert_close(encode(moved_in_x, anchor)[0, :3], torch.tensor([0, 0, 0.25]))


def test_an_anchor_that_is_the_box_says_nothing():
    anchor = torch.tensor([[[3.0, 4, 5], [8, 9, 7]]])
    assert encode(anchor, anchor).tolist() == [[0] * 6]
    assert torch.equal(decode(torch.zeros(1, 6), anchor), anchor)


@given(st.lists(st.tuples(boxes(), boxes()), min_size=1, max_size=8))
def test_decoding_undoes_encoding(pairs):
    drawn, anchors = (torch.tensor(part, dtype=torch.float64) for part in zip(*pairs, strict=True))
    torch.testing.assert_close(decode(encode(drawn, anchors), anchors), drawn)


def test_whatever_an_untrained_network_says_a_box_stays_finite():
    anchor = torch.tensor([[[0.0, 0, 0], [4, 4, 4]]])
    assert decode(torch.full((1, 6), 1e4), anchor).isfinite().all()
