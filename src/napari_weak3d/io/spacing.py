"""The size of a voxel: units to micrometres, checks, and what to do where it is not known."""

from __future__ import annotations

import math
from collections.abc import Sequence

from napari_weak3d.errors import VolumeError
from napari_weak3d.types import RELATIVE, Spacing

MICROMETRE = "um"
UNKNOWN: Spacing = (1.0, 1.0, 1.0)
GIVEN = "spacing"
"""What a spacing is about that comes from a person, and from no file."""

_IN_MICROMETRES = {
    "pm": 1e-6,
    "picometer": 1e-6,
    "å": 1e-4,
    "angstrom": 1e-4,
    "nm": 1e-3,
    "nanometer": 1e-3,
    "um": 1.0,
    "\N{GREEK SMALL LETTER MU}m": 1.0,  # what both micro signs become in casefold
    "\\u00b5m": 1.0,  # ImageJ writes the micro sign escaped
    "micron": 1.0,
    "micrometer": 1.0,
    "mm": 1e3,
    "millimeter": 1e3,
    "cm": 1e4,
    "centimeter": 1e4,
    "m": 1e6,
    "meter": 1e6,
    "in": 25_400.0,
    "inch": 25_400.0,
    "inches": 25_400.0,
}


class SpacingWarning(UserWarning):
    """A volume without a voxel size in its metadata, taken as relative (1, 1, 1).

    Also one whose voxels are much larger or smaller than those of another that is trained on with it.
    """


def parse_spacing(text: str) -> Spacing:
    """Read "Z,Y,X", three positive numbers.

    Raises
    ------
    VolumeError
        Not three numbers, or one is not positive.
    """
    try:
        sizes = [float(part) for part in text.split(",")]
    except ValueError:
        sizes = []
    if len(sizes) != 3:
        raise VolumeError(
            f"spacing {text!r} is not three numbers Z,Y,X: give it as 5,0.994,0.994", where=GIVEN, value=text
        )
    return check_spacing(sizes, where=GIVEN)


def check_spacing(spacing: Sequence[float], *, where: str) -> Spacing:
    """Return the spacing as three floats.

    Raises
    ------
    VolumeError
        Not three numbers, or one is zero, negative, infinite or NaN.
    """
    try:
        sizes = tuple(float(size) for size in spacing)
    except (TypeError, ValueError):
        raise VolumeError(
            f"the spacing of {where} is {spacing!r}: give three numbers (z, y, x)", where=where, value=spacing
        ) from None
    if len(sizes) != 3:
        raise VolumeError(f"the spacing of {where} has {len(sizes)} numbers, not 3 (Z,Y,X)", where=where, value=spacing)
    for axis, size in zip("zyx", sizes, strict=True):
        if not (math.isfinite(size) and size > 0):
            raise VolumeError(
                f"the {axis} spacing{'' if where == GIVEN else f' of {where}'} is {size:g}: it must be positive",
                where=where,
                value=spacing,
                option="give it with --spacing Z,Y,X",
            )
    return sizes[0], sizes[1], sizes[2]


def unit_in_micrometres(unit: str) -> float | None:
    """Return how many micrometres a unit is ("nm": 0.001), or None where the word is none of length.

    Takes what ImageJ, OME and TIFF write: either micro sign, American and British names, plurals.
    """
    word = unit.strip().casefold().replace("metre", "meter")
    singular = word.removesuffix("s") if len(word) > 3 else word
    return _IN_MICROMETRES.get(word, _IN_MICROMETRES.get(singular))


def spacing_from_metadata(
    sizes: Sequence[float | None], units: Sequence[str], *, n_slices: int, where: str
) -> tuple[Spacing, str] | None:
    """Turn sizes and units as the file has them into a spacing and its unit.

    Parameters
    ----------
    sizes
        (z, y, x) in ``units``; None where the file is silent.
    units
        A word per axis; "" where the file is silent.
    n_slices
        Length of z: a single slice needs no thickness, it gets the size of y.
    where
        Which file, for the message.

    Returns
    -------
    The spacing with "um", or with "relative" where sizes come without a unit of length, so that only ratios are known.
    None where a size is missing, where units cannot be compared, or where all are 1 without a unit, as programs write
    that know nothing.

    Raises
    ------
    VolumeError
        A size is zero, negative, infinite or NaN.
    """
    z, y, x = sizes
    z_unit, y_unit, x_unit = units
    if n_slices == 1 and z is None:
        z, z_unit = y, y_unit
    if z is None or y is None or x is None:
        return None
    raw = check_spacing((z, y, x), where=where)
    factors = [unit_in_micrometres(unit) for unit in (z_unit, y_unit, x_unit)]
    known = [factor for factor in factors if factor is not None]
    if len(known) == 3:
        return (raw[0] * known[0], raw[1] * known[1], raw[2] * known[2]), MICROMETRE
    if known or raw == UNKNOWN:
        return None
    return raw, RELATIVE


def name_missing(sizes: Sequence[float | None], units: Sequence[str]) -> str:
    """Say along which axes there is no length, where there is one along others: " along z", or "" where on all or none.

    Parameters
    ----------
    sizes, units
        (z, y, x), as of :func:`spacing_from_metadata`.
    """
    pairs = zip("zyx", sizes, units, strict=True)
    silent = [axis for axis, size, unit in pairs if size is None or unit_in_micrometres(unit) is None]
    return f" along {' and '.join(silent)}" if 0 < len(silent) < 3 else ""
