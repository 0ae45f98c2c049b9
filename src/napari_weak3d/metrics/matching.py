"""The largest one-to-one matching among pairs of objects."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from napari_weak3d.metrics.overlaps import Floats, Ints


def match_pairs(rows: Ints, columns: Ints, *, gain: Floats, where: NDArray[np.bool_]) -> Ints:
    """Choose pairs so that no object is in two: as many as possible, then those of the largest summed gain.

    The pairs fall into groups that share no object; each is small, and solved on its own by a dense assignment.

    Parameters
    ----------
    rows, columns
        (M,) the two objects of each pair, >= 0; no pair twice.
    gain
        (M,) what a pair is worth, 0..1: it decides between matchings of equal size only.
    where
        (M,) bool: the pairs that may be chosen.

    Returns
    -------
    Ints
        Numbers of the chosen pairs, ascending.
    """
    pairs = np.flatnonzero(where)
    if not len(pairs):
        return pairs
    _, row = np.unique(rows[pairs], return_inverse=True)
    _, column = np.unique(columns[pairs], return_inverse=True)
    n = int(row.max()) + int(column.max()) + 2
    links = coo_array((np.ones(len(pairs)), (row, column + row.max() + 1)), shape=(n, n))
    group = connected_components(links, directed=False)[1][row]
    order = np.argsort(group, kind="stable")
    groups = np.split(pairs[order], np.flatnonzero(np.diff(group[order])) + 1)
    chosen = [g if len(g) == 1 else _match_group(g, rows=rows, columns=columns, gain=gain) for g in groups]
    return np.sort(np.concatenate(chosen))


def _match_group(pairs: Ints, *, rows: Ints, columns: Ints, gain: Floats) -> Ints:
    """Match the pairs of one group of objects that hang together."""
    names, row = np.unique(rows[pairs], return_inverse=True)
    other_names, column = np.unique(columns[pairs], return_inverse=True)
    shape = len(names), len(other_names)
    one_more_pair = min(shape) + 1  # worth more than any sum of gains
    worth = np.zeros(shape)
    worth[row, column] = one_more_pair + gain[pairs]
    pair_at = np.full(shape, -1, dtype=np.intp)
    pair_at[row, column] = pairs
    chosen: Ints = pair_at[linear_sum_assignment(worth, maximize=True)]
    return chosen[chosen >= 0]
