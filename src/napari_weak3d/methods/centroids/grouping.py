"""Complete linkage of thousands of things of which few pairs are alike at all."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

Rows = NDArray[np.int64]

_LARGEST_TABLE = 2000
"""Things in one chain of which there is a table of all pairs; of more it would be too large, and the list is taken."""


def group_alike(count: int, pairs: Rows, gaps: NDArray[np.float64], *, most: float) -> list[Rows]:
    """Group things so that of all pairs in a group the gap is at most ``most``: complete linkage.

    Parameters
    ----------
    count
        How many things there are.
    pairs, gaps
        (M, 2) rows, each pair once, and (M,) how much parts them; pairs that are not listed are too far apart. Gaps
        below 0 count as 0.
    most
        The largest gap in a group.

    Returns
    -------
    The rows of each group. Of equal gaps either pair is joined first.
    """
    if count == 0:
        return []
    close = gaps <= most
    pairs, gaps = pairs[close], np.maximum(gaps[close], 0)
    groups: list[Rows] = []
    chains = _chain(count, pairs)
    of_chain, place = np.empty(count, np.int64), np.empty(count, np.int64)
    for number, chain in enumerate(chains):
        of_chain[chain], place[chain] = number, np.arange(len(chain))
    order = np.argsort(of_chain[pairs[:, 0]], kind="stable")
    ends = np.cumsum(np.bincount(of_chain[pairs[:, 0]], minlength=len(chains)))
    for chain, mine in zip(chains, np.split(order, ends[:-1]), strict=True):
        if len(chain) == 1:
            groups.append(chain)
            continue
        cluster = _cluster_by_table if len(chain) <= _LARGEST_TABLE else _cluster_by_list
        groups += [chain[own] for own in cluster(len(chain), place[pairs[mine]], gaps[mine], most=most)]
    return groups


def _cluster_by_table(count: int, pairs: Rows, gaps: NDArray[np.float64], *, most: float) -> list[Rows]:
    table = np.full((count, count), 2 * most + 1)
    np.fill_diagonal(table, 0)
    first, second = pairs.T
    table[first, second] = table[second, first] = gaps
    numbers = fcluster(linkage(squareform(table, checks=False), "complete"), most, criterion="distance")
    return [np.flatnonzero(numbers == number) for number in np.unique(numbers)]


def _cluster_by_list(count: int, pairs: Rows, gaps: NDArray[np.float64], *, most: float) -> list[Rows]:
    """The same: groups with a pair between them that is not listed are never joined, so the list is all it takes."""
    groups = [[row] for row in range(count)]
    near: list[dict[int, float]] = [{} for _ in range(count)]
    queue = [(gap, first, second) for gap, (first, second) in zip(gaps.tolist(), pairs.tolist(), strict=True)]
    heapify(queue)
    for gap, first, second in queue:
        near[first][second] = near[second][first] = gap
    while queue:
        gap, one, other = heappop(queue)
        if near[one].get(other) != gap:  # one of them was joined with a third since
            continue
        groups[one] += groups[other]
        groups[other] = []
        for joined in (one, other):
            for neighbour in near[joined]:
                del near[neighbour][joined]
        apart, near[other] = near[other], {}
        near[one] = {each: max(gap, apart[each]) for each, gap in near[one].items() if each in apart}
        for each, gap in near[one].items():
            near[each][one] = gap
            heappush(queue, (gap, one, each))
    return [np.sort(rows) for rows in groups if rows]


def _chain(count: int, pairs: Rows) -> list[Rows]:
    """Connected components of a graph of ``count`` nodes."""
    from scipy.sparse import coo_array  # noqa: PLC0415  # only here
    from scipy.sparse.csgraph import connected_components  # noqa: PLC0415

    graph = coo_array((np.ones(len(pairs)), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    _, labels = connected_components(graph, directed=False)
    order = np.argsort(labels, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(labels[order])) + 1)
