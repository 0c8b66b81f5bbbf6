"""Put rows that were saved into the tables of a new store, as far as they fit."""

from collections.abc import Callable, Iterable, Mapping, Sequence
import re
import sqlite3
from typing import Final, Protocol

from ._codes import CODE_TO_KIND, CODE_TO_ORIGIN
from ._dimensions import text_hash
from ._purging import PURGED
from ._salvage_pages import Row, Value
from ._statements import insert_statements

_BATCH: Final = 512
_TYPES: Final[Mapping[str, tuple[type, ...]]] = {"INTEGER": (int,), "TEXT": (str,), "REAL": (int, float)}
_UNIQUE_INDEX: Final = re.compile(r"sqlite_autoindex_(\w+)_1")
_KIND: Final = 2
_ORIGIN: Final = 3


def _any(values: Sequence[Value]) -> bool:
    return True


def _is_event(values: Sequence[Value]) -> bool:
    return values[_KIND] in CODE_TO_KIND and values[_ORIGIN] in CODE_TO_ORIGIN


def _is_payload(values: Sequence[Value]) -> bool:
    """Return whether a payload is what its hash was made of, or was changed since by forgetting an entity."""
    _, known, text = values
    return isinstance(text, str) and (text_hash(text) == known or PURGED in text)


_SENSE: Final[Mapping[str, Callable[[Sequence[Value]], bool]]] = {"events": _is_event, "payloads": _is_payload}


class Keeper(Protocol):
    """Keep rows that were found in the pages of one tree."""

    def keep(self, rows: Iterable[Row]) -> None:
        """Keep those that fit."""
        ...


class Tables:
    """Be the tables of a new store whose schema was just made."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        """Read what tables there are and, for a damaged file that does not say it, where their roots are there, too.

        A root's number follows from the order in which tables and indexes were made: SQLite moves pages out of its way.
        """
        master = connection.execute("SELECT name, type, rootpage, sql FROM sqlite_master WHERE rootpage > 0").fetchall()
        self.roots: dict[int, str] = {root: name for name, _, root, _ in master}
        self._tables = {name: _Table(connection, name, sql) for name, kind, _, sql in master if kind == "table"}

    @property
    def names(self) -> Sequence[str]:
        """Return the tables' names."""
        return tuple(self._tables)

    def keeper(self, name: str) -> Keeper | None:
        """Return what keeps the rows of a table or index, None for an index that says nothing more than its table."""
        if (table := self._tables.get(name)) is not None:
            return table
        match = _UNIQUE_INDEX.fullmatch(name)
        table = self._tables.get(match[1]) if match else None
        return _KeyIndex(table) if table is not None and table.is_dimension else None

    def flush(self) -> None:
        """Write what is still held back."""
        for table in self._tables.values():
            table.flush()


class _Table:
    def __init__(self, connection: sqlite3.Connection, name: str, sql: str) -> None:
        self._connection = connection
        self._name = name
        columns = connection.execute(f"PRAGMA table_info({name})").fetchall()
        self._numbered = not sql.upper().rstrip().endswith("WITHOUT ROWID")
        if not self._numbered:
            # Such a table's rows begin with the columns of its key.
            columns.sort(key=lambda column: (column[5] == 0, column[5], column[0]))
        self._columns = tuple(str(column[1]) for column in columns)
        self._types = [_TYPES.get(str(column[2]).upper(), ()) for column in columns]
        keys = [index for index, column in enumerate(columns) if column[5] and str(column[2]).upper() == "INTEGER"]
        # The column that is another name for the row id, which the row does not repeat.
        self._alias = keys[0] if self._numbered and len(keys) == 1 else None
        self._rows: list[tuple[Value, ...]] = []

    @property
    def is_dimension(self) -> bool:
        """Return whether the table is one of numbered, distinct texts."""
        return self._columns == ("id", "key")

    def keep(self, rows: Iterable[Row]) -> None:
        for row in rows:
            if (values := self._fitting(row)) is not None:
                self._rows.append(values)
        if len(self._rows) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        rows, self._rows = self._rows, []
        for sql, values in insert_statements(self._name, self._columns, rows):
            self._connection.execute(sql.replace("INSERT", "INSERT OR IGNORE", 1), values)

    def _fitting(self, row: Row) -> tuple[Value, ...] | None:
        """Return the row's values in the columns' order, None if they are not of this table."""
        values = list(row.values)
        if (row.row_id is not None) != self._numbered or len(values) > len(self._columns):
            return None
        if self._alias is not None and values:
            values[self._alias] = row.row_id
        # A row from before a column was added is shorter.
        values += [None] * (len(self._columns) - len(values))
        if not all(
            value is None or not types or isinstance(value, types)
            for value, types in zip(values, self._types, strict=True)
        ):
            return None
        return tuple(values) if _SENSE.get(self._name, _any)(values) else None


class _KeyIndex:
    """Keep what the index of distinct texts has once more: the texts with their row ids."""

    def __init__(self, table: _Table) -> None:
        self._table = table

    def keep(self, rows: Iterable[Row]) -> None:
        pairs = [row.values for row in rows if len(row.values) == 2]
        self._table.keep(Row(row_id, [None, key]) for key, row_id in pairs if isinstance(row_id, int))
