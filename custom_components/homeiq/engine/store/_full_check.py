"""Check the whole store file in the background, once a week or so."""

from ._integrity import structure_check
from ._store import Store


async def full_check(store: Store) -> str | None:
    """Return SQLite's words about the first fault of the file, None if it is sound.

    Reads all of it, a gigabyte in some ten seconds, on a reader's connection, so that the writer goes on; cancelling
    ends it at once. After a fault the next write looks at the file's structure and sets it aside if that is broken.
    Raises StoreError if the file cannot be read now.
    """
    async with store.reader() as reader:
        words = await structure_check(reader)
    if words is not None:
        store.suspect_damage()
    return words
