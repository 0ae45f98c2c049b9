"""Points that are proposed: one after the other is looked at, and accepted or refused. Functions on the work."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_weak3d.app.tools.centroids.clicks import no_points
from napari_weak3d.app.tools.centroids.keys import CLICK_KEYS
from napari_weak3d.app.tools.centroids.taking import find_new
from napari_weak3d.app.tools.centroids.wording import count
from napari_weak3d.app.tools.centroids.work import ClickWork

_NEAR = 1
"""Slices beside a proposal from which it counts as looked at."""


def propose(work: ClickWork, points: NDArray[np.float64], scores: NDArray[np.float64], *, name: str) -> None:
    """Propose points (N, 3) zyx in voxels, (N,) 0..1 sure, but for those that are clicked or were refused."""
    session = work.session
    new = find_new(work.clicks, points, shape=session.shape, spacing=session.spacing, within=work.radius)
    work.current = 0
    session.step(name, work.clicks.propose(points[new], scores[new]))
    n = len(work.clicks.proposed)
    if n:
        work.bring_back()
        yes, no = CLICK_KEYS["accept"], CLICK_KEYS["refuse"]
        work.say(f"{count(n, 'cell')} proposed, the surest first: {yes} takes the white one, {no} drops it")
        go_to_current(work)
    else:
        work.say("No further cells like these were found")


def go_to_next(work: ClickWork) -> None:
    """Go to the proposal that is looked at, or from there to the next."""
    n = len(work.clicks.proposed)
    if n:
        work.current = (work.current + _is_looked_at(work)) % n
        go_to_current(work)


def answer(work: ClickWork, *, accepted: bool) -> None:
    """Take or drop the proposal that is looked at, and go on to the next."""
    if not len(work.clicks.proposed):
        work.say(f"Nothing is proposed: {CLICK_KEYS['find']} finds more cells like those that are clicked")
    elif not _is_looked_at(work):
        go_to_current(work)  # nothing is answered that is not seen
    else:
        rows, clicks = [work.current], work.clicks
        if accepted:
            work.session.step("accept a cell", clicks.accept(rows))
        else:
            work.session.step("refuse a cell", clicks.refuse(rows))
        if len(work.clicks.proposed):
            go_to_current(work)


def answer_all(work: ClickWork, *, accepted: bool) -> None:
    """Take or drop all that are proposed."""
    n = len(work.clicks.proposed)
    if accepted:
        work.session.step(f"accept {count(n, 'cell')}", work.clicks.accept(range(n)))
    else:
        work.session.step(f"drop {count(n, 'proposal')}", work.clicks.propose(no_points(), np.zeros(0)))


def go_to_current(work: ClickWork) -> None:
    """Show the proposal that is looked at, in the plane that is shown."""
    point, shown = work.clicks.proposed[work.current], work.layers.shown_slice()
    axis = 0 if shown is None else shown[0]
    work.layers.go_to((axis, round(point[axis])), work.image_layer)
    work.view.look_at(work.image_layer, point)
    work.layers.activate(work.session.layer)
    work.refresh()


def _is_looked_at(work: ClickWork) -> bool:
    shown, point = work.layers.shown_slice(), work.clicks.proposed[work.current]
    return shown is not None and abs(point[shown[0]] - shown[1]) <= _NEAR
