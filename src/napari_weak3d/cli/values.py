"""The values that options take as text: spacing, region, counts, settings.

A value that cannot be read raises argparse.ArgumentTypeError, which argparse prints after the option's name, or a
Weak3DError, which passes argparse by.
"""

from __future__ import annotations

import math
from argparse import ArgumentTypeError

AXES = "zyx"


def parse_spacing(text: str) -> tuple[float, float, float]:
    """``"2,0.5,0.5"`` -> (2.0, 0.5, 0.5): size of a voxel along z, y and x, each above 0."""
    from napari_weak3d.io.spacing import parse_spacing as parse  # imports numpy, which --help does without

    return parse(text)


def parse_region(text: str) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """``"0:8,0:64,0:64"`` -> ((0, 8), (0, 64), (0, 64)): voxels, half-open, none empty."""
    z, y, x = (
        _parse_range(part, axis=axis, text=text)
        for axis, part in zip(AXES, _split_in_three(text, expected="z0:z1,y0:y1,x0:x1"), strict=True)
    )
    return z, y, x


def parse_slices_per_axis(text: str) -> tuple[int, int, int]:
    """``"3,0,0"`` -> (3, 0, 0): how many slices across z, y and x; at least one in all."""
    parts = _split_in_three(text, expected="three counts Z,Y,X, such as 3,0,0")
    if not all(part.isdecimal() for part in parts):
        raise ArgumentTypeError(f"{text!r} is not three counts Z,Y,X, such as 3,0,0")
    z, y, x = (int(part) for part in parts)
    if z + y + x == 0:
        raise ArgumentTypeError(f"{text!r} asks for no slice at all")
    return z, y, x


def parse_fraction(text: str) -> float:
    """``"0.2"`` -> 0.2: above 0, at most 1."""
    try:
        fraction = float(text)
    except ValueError:
        raise ArgumentTypeError(f"{text!r} is not a number between 0 and 1") from None
    if not 0 < fraction <= 1:
        raise ArgumentTypeError(f"{text} is not above 0 and at most 1")
    return fraction


def parse_jitter(text: str) -> float:
    """``"0.1"`` -> 0.1: from 0, at most 1."""
    try:
        share = float(text)
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise ArgumentTypeError(f"{text!r} is not a share of a cell's diameter from 0 to 1, such as 0.1")
    return share


def parse_minutes(text: str) -> float:
    """``"2.5"`` -> 2.5: finite; what else it may be the settings say."""
    try:
        minutes = float(text)
    except ValueError:
        minutes = math.nan
    if not math.isfinite(minutes):
        raise ArgumentTypeError(f"{text!r} is not a number of minutes, such as 5")
    return minutes


def parse_count(text: str) -> int:
    """``"3"`` -> 3: one or more."""
    if not text.isdecimal() or int(text) == 0:
        raise ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def parse_seed(text: str) -> int:
    """``"0"`` -> 0: zero or more."""
    if not text.isdecimal():
        raise ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


def parse_setting(text: str) -> tuple[str, str]:
    """``"width=16"`` -> ("width", "16")."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise ArgumentTypeError(f"{text!r} is not name=value; --help-config lists the names")
    return name, value


def _split_in_three(text: str, *, expected: str) -> list[str]:
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 3:
        raise ArgumentTypeError(f"{text!r} has {len(parts)} part{'s' * (len(parts) != 1)}; expected {expected}")
    return parts


def _parse_range(part: str, *, axis: str, text: str) -> tuple[int, int]:
    low, _, high = part.partition(":")
    if not (low.isdecimal() and high.isdecimal()):
        raise ArgumentTypeError(f"{text!r}: {part!r} along {axis} is not two voxel numbers, such as {axis} 0:64")
    if int(high) <= int(low):
        raise ArgumentTypeError(f"{text!r}: {part!r} along {axis} is empty; the end has to be above the start")
    return int(low), int(high)
