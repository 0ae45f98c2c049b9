import heapq

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from napari_weak3d.methods.centroids.paths import share_by_paths

ONES = (1.0, 1.0, 1.0)


def share(price, markers, *, mask, spacing):
    out = np.zeros(mask.shape, np.int32)
    steps = list(share_by_paths(price, markers, mask=mask, spacing=spacing, out=out))
    assert steps[0] == (0, mask.sum())
    assert steps[-1] == (mask.sum(), mask.sum())
    return out


def costs_one_by_one(price, start, *, mask, spacing):
    """Dijkstra from one voxel: the cost of the best path to each voxel."""
    cost = np.full(mask.shape, np.inf)
    cost[start] = 0
    queue = [(0.0, start)]
    while queue:
        so_far, at = heapq.heappop(queue)
        for step in np.ndindex(3, 3, 3):
            to = tuple(int(a + s - 1) for a, s in zip(at, step, strict=True))
            if any(t < 0 or t >= n for t, n in zip(to, mask.shape, strict=True)) or not mask[to]:
                continue
            length = np.linalg.norm((np.array(step) - 1) * spacing)
            if (total := so_far + length * (price[at] + price[to]) / 2) < cost[to] - 1e-12:
                cost[to] = total
                heapq.heappush(queue, (total, to))
    return cost


@settings(max_examples=15)
@given(seed=st.integers(0, 10**6))
def test_each_voxel_goes_to_the_marker_of_the_cheapest_path(seed):
    rng = np.random.default_rng(seed)
    spacing = (2.0, 1.0, 0.5)
    price = rng.uniform(1, 10, (2, 4, 5)).astype(np.float32)
    mask = rng.random(price.shape) < 0.7
    markers = np.where(mask & (rng.random(mask.shape) < 0.1), rng.integers(1, 4, mask.shape), 0).astype(np.int32)
    found = share(price, markers, mask=mask, spacing=spacing)
    starts = [tuple(at) for at in np.argwhere(markers > 0).tolist()]
    costs = np.array([costs_one_by_one(price, at, mask=mask, spacing=spacing) for at in starts]).reshape(
        -1, *mask.shape
    )
    for at in np.ndindex(mask.shape):
        own = [cost[at] for cost, start in zip(costs, starts, strict=True) if markers[start] == found[at]]
        if found[at]:
            assert min(own) <= min(cost[at] for cost in costs) + 1e-4
        else:
            assert not mask[at] or not starts or all(np.isinf(cost[at]) for cost in costs)


def test_a_dear_wall_is_where_neighbours_meet():
    price = np.ones((1, 1, 11), np.float32)
    price[..., 7] = 100
    markers = np.zeros(price.shape, np.int32)
    markers[..., 0], markers[..., 10] = 5, 9
    found = share(price, markers, mask=np.ones(price.shape, bool), spacing=ONES)
    assert found[0, 0, :7].tolist() == [5] * 7
    assert found[0, 0, 8:].tolist() == [9] * 3


def test_without_markers_nobody_has_anything():
    nothing = np.zeros((2, 2, 2), np.int32)
    assert not share(np.ones((2, 2, 2), np.float32), nothing, mask=np.ones((2, 2, 2), bool), spacing=ONES).any()


def test_parts_are_shared_out_one_after_the_other():
    mask = np.ones((1, 1, 9), bool)
    mask[..., 4] = False
    markers = np.zeros(mask.shape, np.int32)
    markers[..., 0], markers[..., 3], markers[..., 8] = 1, 2, 3
    out = np.zeros(mask.shape, np.int32)
    job = share_by_paths(np.ones(mask.shape, np.float32), markers, mask=mask, spacing=ONES, out=out)
    assert next(job) == (0, 8)
    assert not out.any()
    assert next(job) == (4, 8)
    assert out[0, 0].tolist() == [1, 1, 2, 2, 0, 0, 0, 0, 0]
    assert next(job) == (8, 8)
    assert out[0, 0].tolist() == [1, 1, 2, 2, 0, 3, 3, 3, 3]
