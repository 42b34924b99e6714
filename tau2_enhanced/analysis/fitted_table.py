"""Tables that are no wider than the screen, whose numbers are whole: in several tables where one would be too wide."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import takewhile

from rich.cells import cell_len
from rich.table import Column, Table
from rich.text import Text

_NAME, _FOLDED_NAME, _PROSE = 12, 20, 30
"""How wide at least names are, names that have to fold, and sentences, as long as numbers find room elsewhere."""
_FRAME = 3
"""What each column takes beside its own width: a line and two spaces; the table has one line more."""


def fitted(table: Table, width: int) -> list[Table]:
    """The table, or where it is wider than the screen several, each with the columns of names that it begins with.

    The cells are Text. Columns to the right or without wrapping stay whole, and headings fold at spaces. Of a name
    that finds no room the middle is left out, unless two names would look alike: then they fold, as sentences do.
    """
    columns = [_measured(column) for column in table.columns]
    if 1 + sum(_FRAME + one.whole for one in columns) <= width:
        return [table]
    names = list(takewhile(lambda one: not one.is_whole, columns))
    values = columns[len(names) :]
    room, parts = _room(names, values, width)
    of_names = _widths(names, room)
    tables = [_part(table, names, of_names, part, width) for part in parts]
    tables[0].title, tables[-1].caption = table.title, table.caption
    return tables


@dataclass(frozen=True)
class _Measured:
    column: Column
    cells: Sequence[str]
    is_whole: bool
    whole: int
    """The width in which nothing folds."""
    least: int


def _measured(column: Column) -> _Measured:
    cells = [str(cell) for cell in column.cells]
    heading = str(column.header)
    word = _widest(heading.split())
    widest = _widest(line for cell in cells for line in cell.splitlines())
    is_whole = column.justify == "right" or column.no_wrap
    least = widest if is_whole else _least(cells, widest)
    return _Measured(column, cells, is_whole, max(cell_len(heading), widest), max(word, least))


def _least(cells: Sequence[str], widest: int) -> int:
    if not all(map(_is_name, cells)):
        return min(widest, _PROSE)
    widths = range(min(widest, _NAME), min(widest, _PROSE) + 1)
    return next((width for width in widths if _shortened(cells, width)), min(widest, _FOLDED_NAME))


def _widest(texts: Iterable[str]) -> int:
    return max(map(cell_len, texts), default=0)


def _room(names: Sequence[_Measured], values: Sequence[_Measured], width: int) -> tuple[int, list[list[_Measured]]]:
    """How much room the names have, and which values stand beside them in each table.

    The tables are as few as they can be, and of that many have the most room for the names.
    """
    free = width - 1 - _FRAME * len(names)
    widest = max((_FRAME + one.least for one in values), default=0)
    least = max(min(sum(one.least for one in names), free - widest), len(names))
    fewest = _parts(values, free - least)
    for room in range(min(sum(one.whole for one in names), free - widest), least, -1):
        parts = _parts(values, free - room)
        if len(parts) == len(fewest):
            return room, parts
    return least, fewest


def _parts(values: Sequence[_Measured], room: int) -> list[list[_Measured]]:
    parts: list[list[_Measured]] = [[]]
    for one in values:
        if parts[-1] and sum(_FRAME + other.least for other in [*parts[-1], one]) > room:
            parts.append([])
        parts[-1].append(one)
    return parts


def _widths(names: Sequence[_Measured], room: int) -> list[int]:
    """What each column of names has of the room: the wide ones are made narrower first."""
    enough = sum(one.least for one in names) <= room
    for most in range(room, 0, -1):
        widths = [min(one.whole, max(most, one.least if enough else 1)) for one in names]
        if sum(widths) <= room:
            return widths
    return [1 for _ in names]


def _part(
    whole: Table, names: Sequence[_Measured], of_names: Sequence[int], values: Sequence[_Measured], width: int
) -> Table:
    shown = [*names, *values]
    spare = width - 1 - _FRAME * len(shown) - sum(of_names) - sum(one.least for one in values)
    of_values = []
    for one in values:
        more = min(one.whole - one.least, spare)
        of_values.append(max(one.least + more, 1))
        spare -= more
    widths = [*of_names, *of_values]
    part = Table(title_justify=whole.title_justify, caption_justify=whole.caption_justify, box=whole.box)
    for one, column_width in zip(shown, widths, strict=True):
        part.add_column(
            one.column.header,
            style=one.column.style,
            justify=one.column.justify,
            no_wrap=one.column.no_wrap,
            width=column_width,
            overflow="fold",
        )
    texts = [_column_cells(one, column_width) for one, column_width in zip(shown, widths, strict=True)]
    for row in zip(*texts, strict=True):
        if any(row[len(names) :]) or not values:
            part.add_row(*map(Text, row))
    return part


def _column_cells(one: _Measured, width: int) -> Sequence[str]:
    if one.is_whole or not all(map(_is_name, one.cells)):
        return one.cells
    return _shortened(one.cells, width) or one.cells


def _is_name(cell: str) -> bool:
    return " " not in cell


def _shortened(names: Sequence[str], width: int) -> list[str] | None:
    """The names in that width, the middle left out of those that are longer, so that different ones stay different.

    None where that can't be.
    """
    different = len(set(names))
    for head in sorted(range(1, width - 1), key=lambda at: abs(2 * at - width)):
        tail = width - 1 - head
        shown = [name if len(name) <= width else f"{name[:head]}…{name[-tail:]}" for name in names]
        if len(set(shown)) == different:
            return shown
    return None
