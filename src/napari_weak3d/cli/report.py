"""What a command prints when it is done: a report is a dict of names and plain values."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Mapping
from typing import Any, Literal, TextIO

Report = Mapping[str, Any]


def print_report(report: Report, *, form: Literal["json", "text"]) -> None:
    """Print a report on standard output: one JSON object (NaN and infinity as null), or a line per entry.

    Letters that standard output cannot show come as their numbers: ``\\u65e5.tif``.
    """
    if form == "json":
        print(json.dumps(_without_nan(report), allow_nan=False))
        return
    width = max((len(name) for name in report), default=0)
    encoding = sys.stdout.encoding or "utf-8"
    for name, value in report.items():
        line = f"{name:<{width}}  {_as_text(value)}"
        print(line.encode(encoding, errors="backslashreplace").decode(encoding))


def print_warning(  # noqa: PLR0917  the arguments of warnings.showwarning
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning as one line on standard error: what was wrong with an input, not where in our code."""
    print(f"warning: {' '.join(str(message).split())}", file=file or sys.stderr)


def _as_text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.4f}"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_as_text(part)}" for name, part in value.items())
    if isinstance(value, list | tuple):
        sentences = any(isinstance(part, str) and " " in part for part in value)
        return ("; " if sentences else " ").join(_as_text(part) for part in value)
    return str(value)


def _without_nan(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _without_nan(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(part) for part in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
