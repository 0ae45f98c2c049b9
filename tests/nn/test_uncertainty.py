import numpy as np

from napari_weak3d.nn.uncertainty import binary_entropy


def test_one_half_is_no_idea_and_yes_and_no_are_sure():
    found = binary_entropy(np.array([[0, 0.5, 1, 0.11, 0.89]], np.float32))
    np.testing.assert_allclose(found, [[0, 1, 0, 0.5, 0.5]], atol=1e-3)
    assert found.dtype == np.float32
