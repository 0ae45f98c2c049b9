"""How unsure a network is of what it says."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LEAST = 1e-6


def binary_entropy(probability: NDArray[np.float32]) -> NDArray[np.float32]:
    """Give the entropy of yes and no, in bits.

    Parameters
    ----------
    probability
        Any shape, in 0..1.

    Returns
    -------
    The same shape, float32 in 0..1: 0 sure, 1 no idea.
    """
    total = np.zeros(probability.shape, np.float32)
    for share in (probability, 1 - probability):
        total -= share * np.log2(np.maximum(share, _LEAST))
    return total.clip(0, 1)
