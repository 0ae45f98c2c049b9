"""What the tool says: of clicks so far, and before a training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from napari_weak3d.app.tools.centroids.clicks import (
    Clicks,
    Points,
    find_doubles,
    find_outside,
    find_outside_region,
    region_with,
)
from napari_weak3d.app.tools.effort import duration
from napari_weak3d.app.tools.tool import Obstacle, Words
from napari_weak3d.types import AXES, Region

WORDS = Words(
    choice="Click cells",
    begin="Click cells in",
    first="click some cells",
    take_over="Propose the centres of the objects that the result, as you corrected it, shows in this slice, where "
    "there is no click yet",
)
HINT = (
    "Click each cell once, near its middle, in the slice where you see it best. All cells are to be clicked, or all "
    "inside a box: set it below."
)
Act = Callable[[str, Callable[[Clicks], Clicks]], None]
"""Makes a step: its name as undo says it, and what it makes of the clicks that there are then."""


def counter_line(clicks: Clicks, *, seconds: float) -> str:
    """Say how many cells are clicked, and what that took."""
    n = len(clicks.points)
    if n == 0:
        return HINT
    pace = f", {seconds / n:.1f} s each" if n > 1 and seconds > n else ""
    return f"{count(n, 'cell')} clicked. {duration(seconds)} so far{pace}."


def proposal_line(clicks: Clicks, current: int) -> str:
    """Say what is proposed, and how sure the one in view is."""
    n = len(clicks.proposed)
    return f"{current + 1} of {n} proposed, {clicks.scores[current]:.0%} sure" if n else ""


def obstacle_of(clicks: Clicks, *, shape: tuple[int, int, int], act: Act) -> Obstacle | None:
    """Say what stands in the way of a training; one thing at a time."""
    points = clicks.points
    if len(points) == 0:
        return Obstacle("Nothing is clicked yet: click each cell of the image, or of a box in it, once, then train")
    outside, doubles = find_outside(points, shape), find_doubles(points)
    if outside:
        return Obstacle(
            f"{_first(points, outside)} outside the image, which is {' x '.join(map(str, shape))} voxels (z, y, x).",
            {"Remove": lambda: act("remove clicks outside", lambda now: now.without(find_outside(now.points, shape)))},
        )
    if doubles:
        return Obstacle(
            f"{_first(points, doubles)} on a voxel that another click has.",
            {"Keep one": lambda: act("remove doubles", lambda now: now.without(find_doubles(now.points)))},
        )
    strays = find_outside_region(points, clicks.region)
    if clicks.region is not None and strays:
        return Obstacle(
            f"{_first(points, strays)} outside the box in which all cells are clicked ({spell(clicks.region)}).",
            {
                "Enlarge the box": lambda: act("enlarge the box", enlarge),
                "Remove": lambda: act("remove clicks outside the box", without_strays),
            },
        )
    return _doubts(clicks, act=act)


def enlarge(clicks: Clicks) -> Clicks:
    """Let the region, if there is one, hold all clicks."""
    region = clicks.region
    return clicks if region is None else replace(clicks, region=region_with(clicks.points, region))


def without_strays(clicks: Clicks) -> Clicks:
    """Remove the clicks outside of the region."""
    return clicks.without(find_outside_region(clicks.points, clicks.region))


def _doubts(clicks: Clicks, *, act: Act) -> Obstacle | None:
    """What may be meant so."""
    n = len(clicks.proposed)
    if n:
        return Obstacle(
            f"{count(n, 'point')} {'is' if n == 1 else 'are'} proposed, neither accepted nor refused. A cell without a "
            "click counts as background.",
            {
                "Accept all": lambda: act("accept all", lambda now: now.accept(range(len(now.proposed)))),
                "Train without": _leave,
            },
        )
    if len(clicks.points) == 1:
        return Obstacle(
            "There is only one click in this image. How large cells are and how near they lie takes at least two.",
            {"Other images have clicks": _leave},
        )
    return None


def spell(region: Region) -> str:
    """Write a region as it is counted in the dock: "z 0 to 19, y 5 to 90, x 0 to 99"."""
    return ", ".join(f"{axis} {low} to {high - 1}" for axis, (low, high) in zip(AXES, region, strict=True))


def place(point: Points) -> str:
    """Write where a point is: "z 3, y 40, x 17.5"."""
    return ", ".join(f"{axis} {value:.4g}" for axis, value in zip(AXES, point, strict=True))


def count(n: int, one: str) -> str:
    """Write "1 cell", "2 cells"."""
    return f"{n} {one}{'' if n == 1 else 's'}"


def _first(points: Points, rows: list[int]) -> str:
    if len(rows) == 1:
        return f"Click {rows[0] + 1} ({place(points[rows[0]])}) lies"
    return f"{len(rows)} clicks, the first of them number {rows[0] + 1} ({place(points[rows[0]])}), lie"


def _leave() -> None:
    """The answer that changes nothing."""
