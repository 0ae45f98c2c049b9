"""CSV tables with a header, read strictly: every complaint names file, row and column."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from napari_weak3d.errors import AnnotationError
from napari_weak3d.io.atomic import atomic_file

_MOST = 2**31 - 1
"""The largest value of a label image, and more voxels than any axis has."""


@dataclass(frozen=True)
class Table:
    """Text cells by column name.

    Attributes
    ----------
    name
        The file's name, for messages.
    columns
        Column name -> one cell per row, stripped.
    lines
        Line of the file where each row stands, counted from 1.
    """

    name: str
    columns: dict[str, tuple[str, ...]]
    lines: tuple[int, ...]

    def numbers(self, column: str) -> list[float]:
        """Return a column as finite numbers.

        Raises
        ------
        AnnotationError
            There is no such column, or a cell is no number.
        """
        if column not in self.columns:
            raise AnnotationError(
                f"{self.name} has no column {column!r}: its header is {','.join(self.columns)}",
                where=self.name,
                value=column,
            )
        return [
            self._number(cell, line=line, column=column)
            for cell, line in zip(self.columns[column], self.lines, strict=True)
        ]

    def whole_numbers(self, column: str) -> list[int]:
        """Return a column as whole numbers between -2147483647 and 2147483647; "12.0" is one.

        Raises
        ------
        AnnotationError
            There is no such column, or a cell is no whole number or a larger one.
        """
        numbers = self.numbers(column)
        for number, line in zip(numbers, self.lines, strict=True):
            if number != math.floor(number):
                raise AnnotationError(
                    f"line {line} of {self.name}, column {column}: {number:g} is not a whole number",
                    where=self.name,
                    value=number,
                )
            if abs(number) > _MOST:
                raise AnnotationError(
                    f"line {line} of {self.name}, column {column}: {number:g} is beyond {_MOST}: correct it",
                    where=self.name,
                    value=number,
                )
        return [int(number) for number in numbers]

    def _number(self, cell: str, *, line: int, column: str) -> float:
        try:
            number = float(cell)
        except ValueError:
            number = math.nan
        if math.isfinite(number):
            return number
        comma = "; use a point for decimals" if "," in cell else ""
        raise AnnotationError(
            f"line {line} of {self.name}, column {column}: {cell!r} is not a number{comma}", where=self.name, value=cell
        )


def read_table(path: Path) -> Table:
    """Read a comma-separated file with a header line; blank lines are skipped, column names stripped.

    Raises
    ------
    AnnotationError
        The file cannot be read, is empty, is separated by something else, has no header or a name twice in it, or a
        row has more or fewer cells than the header.
    """
    name = path.name
    try:
        # utf-8-sig: spreadsheets put a byte order mark first
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream)
            rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except FileNotFoundError:
        raise AnnotationError(f"{path} does not exist: check the name", where=str(path), value=str(path)) from None
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise AnnotationError(f"cannot read {path}: {error}; it must be a CSV file", where=str(path)) from error
    if not rows:
        raise AnnotationError(f"{name} is empty: it needs a header line", where=name)
    header = _check_header([cell.strip() for cell in rows[0][1]], name=name)
    for line, row in rows[1:]:
        if len(row) != len(header):
            raise AnnotationError(
                f"line {line} of {name} has {len(row)} cells, the header {len(header)}: if numbers have decimal "
                f"commas, use points",
                where=name,
                value=row,
            )
    columns = {column: tuple(row[i].strip() for _, row in rows[1:]) for i, column in enumerate(header)}
    return Table(name=name, columns=columns, lines=tuple(line for line, _ in rows[1:]))


def write_table(path: Path, header: Sequence[str], *, rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV file, whole or not at all; floats come out so that they read back as they were.

    Raises
    ------
    StorageError
        The file cannot be written.
    """
    with atomic_file(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _check_header(header: list[str], *, name: str) -> list[str]:
    if len(header) == 1 and (";" in header[0] or "\t" in header[0]):
        raise AnnotationError(
            f"{name} is not separated by commas (its first line is {header[0]!r}): save it with commas between columns "
            f"and points for decimals",
            where=name,
            value=header[0],
        )
    if all(_is_number(cell) for cell in header):
        raise AnnotationError(
            f"{name} has no header: its first line is {','.join(header)!r}, put the column names above it",
            where=name,
            value=header,
        )
    twice = [column for i, column in enumerate(header) if column in header[:i]]
    if twice:
        raise AnnotationError(f"{name} has the column {twice[0]!r} twice: rename one", where=name, value=twice[0])
    return header


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
