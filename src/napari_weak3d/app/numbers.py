"""How measured numbers are written for people."""

from __future__ import annotations

_LARGE = 1e6


def write_number(value: float) -> str:
    """Write a number with four digits, as people do: 50020, 0.1268, and from a million on 1.178e6."""
    if abs(value) < _LARGE:
        return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:.3e}".replace("e+0", "e").replace("e+", "e")
