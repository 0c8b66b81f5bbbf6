"""Keep each distinct text of the store once, and know its row id.

Only the one writer allocates ids, so a new text gets its id in memory and is inserted together with the rows that use
it. What a transaction staged becomes known only when that transaction has committed.
"""

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from itertools import batched, islice
from typing import Final

import aiosqlite

from ._statements import SqlValue, Statement, insert_statements

# A home has some thousand entities and states; payloads of busy attributes change all the time. The bound keeps the
# cache of one dimension below about 10 MB; a text that fell out is looked up again.
CACHE_SIZE: Final = 20_000
_LOOKUP_SIZE: Final = 500


def text_hash(key: str) -> int:
    """Return a stable signed 64-bit hash of a text (BLAKE2b)."""
    return int.from_bytes(blake2b(key.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big", signed=True)


class Dimension:
    """Map the texts of one table to row ids; not safe for use by two transactions at once."""

    def __init__(self, table: str, *, hashed: bool = False) -> None:
        """Name the table; ``hashed`` tables are searched by hash instead of by a unique index on the text."""
        self.table = table
        self._hashed = hashed
        self._known: dict[str, int] = {}
        self._staged: dict[str, int] = {}
        self._next_id = 1

    async def load(self, connection: aiosqlite.Connection) -> None:
        """Read the highest id and forget every text known so far."""
        (row,) = await connection.execute_fetchall(f"SELECT COALESCE(MAX(id), 0) FROM {self.table}")
        self._next_id = int(row[0]) + 1
        self._known.clear()
        self._staged.clear()

    def lookups(self, keys: Iterable[str]) -> Iterator[Statement]:
        """Yield queries, whose answers ``remember`` wants, for those of some distinct texts that are not known."""
        column = "hash" if self._hashed else "key"
        for chunk in batched((key for key in keys if key not in self._known), _LOOKUP_SIZE, strict=False):
            wanted: list[SqlValue] = [text_hash(key) if self._hashed else key for key in chunk]
            yield f"SELECT key, id FROM {self.table} WHERE {column} IN ({','.join('?' * len(chunk))})", wanted

    def remember(self, rows: Iterable[tuple[str, int]]) -> None:
        """Take note of texts and ids that the database has."""
        self._known.update(rows)

    def id_of(self, key: str) -> int:
        """Return a text's id, staging a new row where it has none yet."""
        if (row_id := self._known.get(key)) is not None:
            return row_id
        if (row_id := self._staged.get(key)) is not None:
            return row_id
        row_id = self._next_id
        self._next_id += 1
        self._staged[key] = row_id
        return row_id

    def staged(self) -> Iterator[Statement]:
        """Yield the statements that insert the staged rows."""
        columns = ("id", "hash", "key") if self._hashed else ("id", "key")
        rows: list[tuple[SqlValue, ...]] = [
            (row_id, text_hash(key), key) if self._hashed else (row_id, key) for key, row_id in self._staged.items()
        ]
        return insert_statements(self.table, columns, rows)

    def commit(self) -> None:
        """Make the staged ids known, dropping the oldest known ones beyond the cache size."""
        self._known.update(self._staged)
        self._staged.clear()
        for key in list(islice(self._known, max(0, len(self._known) - CACHE_SIZE))):
            del self._known[key]

    def rollback(self) -> None:
        """Forget the staged ids and give them back."""
        self._next_id -= len(self._staged)
        self._staged.clear()

    def forget(self) -> None:
        """Forget what is known, because rows may have been deleted; ids are not used again."""
        self._known.clear()


class Dimensions:
    """Hold all dimension tables of the store."""

    def __init__(self) -> None:
        """Create the maps, empty."""
        self.entities = Dimension("entities")
        self.texts = Dimension("texts")
        self.actors = Dimension("actors")
        self.facts = Dimension("facts")
        self.payloads = Dimension("payloads", hashed=True)
        self.all = (self.entities, self.texts, self.actors, self.facts, self.payloads)

    async def load(self, connection: aiosqlite.Connection) -> None:
        """Load every dimension from a freshly opened database."""
        for dimension in self.all:
            await dimension.load(connection)

    def staged(self) -> Iterator[Statement]:
        """Yield the statements that insert all staged rows."""
        for dimension in self.all:
            yield from dimension.staged()

    def commit(self) -> None:
        """Make all staged ids known."""
        for dimension in self.all:
            dimension.commit()

    def rollback(self) -> None:
        """Forget all staged ids."""
        for dimension in self.all:
            dimension.rollback()

    def forget(self) -> None:
        """Forget all known ids after rows were deleted."""
        for dimension in self.all:
            dimension.forget()
