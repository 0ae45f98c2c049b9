"""Complete linkage by a list of pairs against scipy's by a table of all."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist

from napari_weak3d.methods.centroids import grouping
from napari_weak3d.methods.centroids.grouping import group_alike


def pair_all(count):
    return np.stack(np.triu_indices(count, 1), axis=1)


def as_sets(groups):
    return {frozenset(rows.tolist()) for rows in groups}


@pytest.mark.parametrize("largest_table", [0, 2000])
@given(seed=st.integers(0, 10**6), count=st.integers(0, 60), most=st.floats(0.5, 6))
def test_groups_are_those_of_complete_linkage_however_many_hang_together(largest_table, seed, count, most):
    points = np.random.default_rng(seed).uniform(0, 8, (count, 3))
    gaps = pdist(points)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grouping, "_LARGEST_TABLE", largest_table)
        groups = group_alike(count, pair_all(count), gaps, most=most)
    numbers = fcluster(linkage(points, "complete"), most, criterion="distance") if count > 1 else np.ones(count)
    assert as_sets(groups) == as_sets(np.flatnonzero(numbers == number) for number in np.unique(numbers))
    assert all((np.diff(rows) > 0).all() for rows in groups)


@pytest.mark.parametrize("largest_table", [0, 2000])
def test_pairs_that_are_not_listed_are_never_in_one_group(largest_table, monkeypatch):
    monkeypatch.setattr(grouping, "_LARGEST_TABLE", largest_table)
    pairs, gaps = np.array([[0, 1], [2, 1], [3, 0]]), np.array([0.1, -0.2, 0.3])
    assert as_sets(group_alike(5, pairs, gaps, most=0.3)) == {frozenset(rows) for rows in ([1, 2], [0, 3], [4])}
