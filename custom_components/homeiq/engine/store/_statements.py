"""Build INSERT statements of many rows.

Statements of 512 rows, and the rest in powers of two, so that SQLite's cache of prepared statements holds all of them.
"""

from collections.abc import Iterator, Sequence
from functools import cache
from typing import Final

# 17 columns of 512 rows are 8,704 variables; SQLite takes 32,766.
_ROWS_PER_STATEMENT: Final = 512

type SqlValue = int | float | str | bytes | None
type Statement = tuple[str, list[SqlValue]]


def insert_statements(
    table: str, columns: tuple[str, ...], rows: Sequence[tuple[SqlValue, ...]], *, verb: str = "INSERT"
) -> Iterator[Statement]:
    """Yield statements that together insert all rows in their order, none for no rows."""
    start = 0
    while start < len(rows):
        size = min(_ROWS_PER_STATEMENT, 1 << ((len(rows) - start).bit_length() - 1))
        values = [value for row in rows[start : start + size] for value in row]
        yield _insert_sql(verb, table, columns, size), values
        start += size


@cache
def _insert_sql(verb: str, table: str, columns: tuple[str, ...], rows: int) -> str:
    marks = f"({','.join('?' * len(columns))})"
    return f"{verb} INTO {table} ({','.join(columns)}) VALUES {','.join([marks] * rows)}"
