"""Which painted value means what, where the user has not said it all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from napari_weak3d.errors import AnnotationError
from napari_weak3d.types import PaintClass

UNPAINTED = 0
_FIRST = 1  # what painting programs offer first, and most people take for the background
_COLORS = ("#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377")
"""Paul Tol's bright scheme: told apart by the colour-blind too."""


def make_class_table(
    painted: Sequence[int], *, known: Sequence[PaintClass] = (), background: int | None = None, has_complete: bool
) -> tuple[PaintClass, ...]:
    """Complete the table of classes, settling which value is background.

    In this order: ``background`` where it is given; the row of ``known`` that is background; where slices are complete
    and one value is painted, 0; value 1 where it is painted beside others; 0 where slices are complete. Background 0
    stands for the unpainted voxels of complete slices, for which the user has painted no value of their own. In
    complete slices unpainted voxels belong to the background, whatever its value.

    Parameters
    ----------
    painted
        The values that are painted, all above 0.
    known
        Rows the user has written; kept also where their value is not painted.
    background
        The background's value, 0 or above.
    has_complete
        Whether any slice is complete.

    Returns
    -------
    A row per value, ascending. One value alone without complete slices gives a table without background.

    Raises
    ------
    AnnotationError
        ``background`` is negative, or 0 without a complete slice, or neither painted nor known without one; two or
        more values are painted, and which is background cannot be told.
    """
    rows = {row.value: row for row in known}
    for value in painted:
        rows.setdefault(value, PaintClass(value, f"class {value}", color=_COLORS[value % len(_COLORS)]))
    chosen = _find_background(painted, known, background=background, has_complete=has_complete)
    if chosen is not None:
        own = rows.get(chosen, PaintClass(chosen, "background"))
        name = "background" if own.name == f"class {chosen}" else own.name
        rows = {value: replace(row, background=False) for value, row in rows.items() if value != UNPAINTED}
        rows[chosen] = replace(own, name=name, background=True)
    return tuple(rows[value] for value in sorted(rows))


def _find_background(
    painted: Sequence[int], known: Sequence[PaintClass], *, background: int | None, has_complete: bool
) -> int | None:
    """The background's value; None for one class alone."""
    if background is not None:
        _check_given(background, painted, has_complete=has_complete)
        return background
    named = [row.value for row in known if row.background]
    if named:
        return named[0]
    if len(painted) > 1 and _FIRST in painted:
        return _FIRST
    if has_complete:
        return UNPAINTED
    if len(painted) > 1:
        raise AnnotationError(
            f"the values {', '.join(map(str, painted))} are painted, and 1 (background, if nothing is said) is not "
            f"among them: say which is background",
            where="background",
            value=tuple(painted),
            option="with --background",
        )
    return None


def _check_given(background: int, painted: Sequence[int], *, has_complete: bool) -> None:
    if background < 0:
        raise AnnotationError(
            f"background {background} is negative: labels are whole numbers from 0",
            where="background",
            value=background,
        )
    if background not in painted and not has_complete:
        raise AnnotationError(
            f"background {background} is not painted (painted: {', '.join(map(str, painted)) or 'nothing'}) and no "
            f"slice is complete: correct it, or say which slices are complete",
            where="background",
            value=background,
            option="with --annotated z:3,10",
        )
