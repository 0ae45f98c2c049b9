"""Runs of numbers, for lists of slices in words."""

from __future__ import annotations

from collections.abc import Sequence


def find_runs(indices: Sequence[int]) -> list[list[int]]:
    """Group ascending numbers into runs without a gap: 3, 5, 6 -> [3], [5, 6]."""
    runs: list[list[int]] = []
    for index in indices:
        if runs and index == runs[-1][-1] + 1:
            runs[-1].append(index)
        else:
            runs.append([index])
    return runs
