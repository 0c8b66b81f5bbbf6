"""Read the pages of a damaged database file without SQLite, which gives up where one page leads to another that is broken.

Source: "Database File Format", https://www.sqlite.org/fileformat2.html. Blocking, for a thread.
"""

from array import array
import os
from pathlib import Path
import struct
import time
from types import TracebackType
from typing import Final, NamedTuple, Self

MAGIC: Final = b"SQLite format 3\x00"
_DEFAULT_PAGE_SIZE: Final = 4096
_LARGEST_PAGE: Final = 65_536
_HEADER: Final = 100
_WAL_HEADER: Final = 32
_FRAME_HEADER: Final = 24
_WAL_MAGIC: Final = {0x377F0682: "<", 0x377F0683: ">"}
_WORD: Final = 0xFFFFFFFF
_PENDING_BYTE: Final = 0x40000000
# Deeper trees do not exist: a page refers to a hundred others at least.
_DEEPEST: Final = 30
_PAGES_AT_A_TIME: Final = 64

INDEX_INTERIOR: Final = 2
TABLE_INTERIOR: Final = 5
INDEX_LEAF: Final = 10
TABLE_LEAF: Final = 13
_INTERIOR: Final = frozenset({INDEX_INTERIOR, TABLE_INTERIOR})

_ROOT: Final = 1
_FREE: Final = 2
_TREE: Final = 5

type Value = int | float | str | bytes | None


class Row(NamedTuple):
    """Hold a row: its row id, None in an index, and its values."""

    row_id: int | None
    values: list[Value]


class DamagedFile:
    """Give the pages of a file, as the last commit in its log left them; use it as a context."""

    def __init__(self, path: Path) -> None:
        """Open the file and read its log; raises OSError if it cannot be read."""
        self.name = str(path)
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._log: int | None = None
        self._frames: dict[int, int] = {}
        try:
            self.header = os.pread(self._file, _HEADER, 0)
            self.page_size = _page_size(self.header)
            self._open_log(path.with_name(path.name + "-wal"))
            self.header = (self.page(1) or self.header)[:_HEADER]
            reserved = self.header[20] if self.has_header else 0
            self.usable = self.page_size - reserved
            self.pages = max((os.fstat(self._file).st_size // self.page_size, *self._frames))
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Return the file."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self.close()

    @property
    def has_header(self) -> bool:
        """Return whether the file's first bytes can be believed."""
        return self.header.startswith(MAGIC)

    def number(self, offset: int) -> int:
        """Return a four-byte number of the file's header, 0 if it is too short."""
        return int.from_bytes(self.header[offset : offset + 4])

    def close(self) -> None:
        """Close the file and its log."""
        os.close(self._file)
        if self._log is not None:
            os.close(self._log)

    def page(self, number: int) -> bytes | None:
        """Return a page, None if the file is too short for it."""
        if (offset := self._frames.get(number)) is not None and self._log is not None:
            return os.pread(self._log, self.page_size, offset)
        if number < 1:
            return None
        content = os.pread(self._file, self.page_size, (number - 1) * self.page_size)
        return content if len(content) == self.page_size else None

    def _open_log(self, path: Path) -> None:
        """Find the newest committed frame of each page; what follows the first broken frame was never committed."""
        try:
            self._log = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        header = os.pread(self._log, _WAL_HEADER, 0)
        if len(header) < _WAL_HEADER:
            return
        magic, _, page_size, _, *salts, first, second = struct.unpack(">8I", header)
        order = _WAL_MAGIC.get(magic)
        if order is None or not _is_page_size(page_size) or _checksum(header[:24], order) != (first, second):
            return
        if not self.header.startswith(MAGIC):
            self.page_size = page_size
        checksum = (first, second)
        offset, open_frames = _WAL_HEADER, dict[int, int]()
        while True:
            frame = os.pread(self._log, _FRAME_HEADER + page_size, offset)
            if len(frame) < _FRAME_HEADER + page_size:
                return
            number, committed, *frame_salts, first, second = struct.unpack(">6I", frame[:_FRAME_HEADER])
            checksum = _checksum(frame[_FRAME_HEADER:], order, _checksum(frame[:8], order, checksum))
            if frame_salts != salts or checksum != (first, second):
                return
            open_frames[number] = offset + _FRAME_HEADER
            if committed:
                self._frames |= open_frames
                open_frames.clear()
            offset += _FRAME_HEADER + page_size
            time.sleep(0)


class Trees:
    """Know which tree each page belongs to, also where the pages between it and the root are gone.

    The file keeps a map of that for giving pages back. Where the map is broken, the inner pages that are left say it.
    """

    def __init__(self, file: DamagedFile) -> None:
        """Read which page refers to which; blocks for as long as reading the file takes."""
        self._file = file
        self._parents = array("I", bytes(4 * (file.pages + 1)))
        for number in range(1, file.pages + 1):
            page = None if self.is_map(number) else file.page(number)
            if page is not None:
                for child in _children(page, number, file):
                    self._parents[child] = number
            if number % _PAGES_AT_A_TIME == 0:
                time.sleep(0)

    def is_map(self, number: int) -> bool:
        """Return whether a page is one of the map's own."""
        return number > 1 and self._map_page(number) == number

    def owner(self, number: int) -> tuple[int | None, bool]:
        """Return the root of a page's tree, None if it is free or that cannot be told, and whether the map says so."""
        certain = True
        for _ in range(_DEEPEST):
            entry = self._map_entry(number)
            if entry is not None and entry[0] == _ROOT:
                return number, certain
            if entry is not None and entry[0] == _FREE:
                return None, certain
            if entry is not None and entry[0] == _TREE:
                parent = entry[1]
            else:
                parent, certain = self._parents[number], number == 1
            if not parent:
                return number, certain
            number = parent
        return None, certain

    def _map_page(self, number: int) -> int:
        per_map = self._file.usable // 5 + 1
        at = (number - 2) // per_map * per_map + 2
        return at + (at == _PENDING_BYTE // self._file.page_size + 1)

    def _map_entry(self, number: int) -> tuple[int, int] | None:
        """Return what the pointer map says about a page: kind and parent; None where the map is unreadable."""
        if number == 1:
            return None
        at = self._map_page(number)
        page = self._file.page(at)
        offset = 5 * (number - at - 1)
        if page is None or not 0 <= offset <= self._file.usable - 5:
            return None
        kind, parent = page[offset], int.from_bytes(page[offset + 1 : offset + 5])
        fits = (kind in (_ROOT, _FREE) and parent == 0) or (_FREE < kind <= _TREE and 0 < parent <= self._file.pages)
        return (kind, parent) if fits else None


def rows_of(file: DamagedFile, number: int) -> list[Row]:
    """Return the rows that stand in a page of a tree, as far as they can be read; nothing for other pages."""
    page = file.page(number)
    if page is None:
        return []
    start = _HEADER if number == 1 else 0
    kind = page[start]
    if kind not in (INDEX_INTERIOR, INDEX_LEAF, TABLE_LEAF):
        return []
    rows: list[Row] = []
    for offset in _cells(page, start, file.usable):
        try:
            row = _cell(file, page, offset, kind)
        except ValueError, IndexError, struct.error:
            continue
        rows.append(row)
    return rows


def _page_size(header: bytes) -> int:
    size = int.from_bytes(header[16:18]) if header.startswith(MAGIC) else 0
    size = _LARGEST_PAGE if size == 1 else size
    return size if _is_page_size(size) else _DEFAULT_PAGE_SIZE


def _is_page_size(size: int) -> bool:
    return 512 <= size <= _LARGEST_PAGE and size & (size - 1) == 0


def _checksum(content: bytes, order: str, before: tuple[int, int] = (0, 0)) -> tuple[int, int]:
    first, second = before
    words = iter(struct.unpack(f"{order}{len(content) // 4}I", content))
    for one, two in zip(words, words, strict=True):
        first = (first + one + second) & _WORD
        second = (second + two + first) & _WORD
    return first, second


def _cells(page: bytes, start: int, usable: int) -> list[int]:
    """Return where the cells of a tree's page begin, nothing if the page's head makes no sense."""
    count = int.from_bytes(page[start + 3 : start + 5])
    pointers = start + (12 if page[start] in _INTERIOR else 8)
    if pointers + 2 * count > usable:
        return []
    offsets = [int.from_bytes(page[at : at + 2]) for at in range(pointers, pointers + 2 * count, 2)]
    return [offset for offset in offsets if pointers + 2 * count <= offset < usable - 3]


def _children(page: bytes, number: int, file: DamagedFile) -> list[int]:
    """Return the pages that an inner page of a tree refers to, nothing for all other pages."""
    start = _HEADER if number == 1 else 0
    if page[start] not in _INTERIOR:
        return []
    children = [int.from_bytes(page[at : at + 4]) for at in (*_cells(page, start, file.usable), start + 8)]
    return [child for child in children if 1 < child <= file.pages and child != number]


def _cell(file: DamagedFile, page: bytes, offset: int, kind: int) -> Row:
    """Read one cell; raises ValueError, IndexError or struct.error where it makes no sense."""
    if kind == INDEX_INTERIOR:
        offset += 4
    size, offset = _varint(page, offset)
    row_id: int | None = None
    if kind == TABLE_LEAF:
        raw_id, offset = _varint(page, offset)
        row_id = raw_id - (1 << 64) if raw_id >= 1 << 63 else raw_id
    payload = _payload(file, page, offset, size, is_table=kind == TABLE_LEAF)
    return Row(row_id, _values(payload))


def _payload(file: DamagedFile, page: bytes, offset: int, size: int, *, is_table: bool) -> bytes:
    usable = file.usable
    most = usable - 35 if is_table else (usable - 12) * 64 // 255 - 23
    if size <= most:
        return _exactly(page[offset : min(offset + size, usable)], size)
    least = (usable - 12) * 32 // 255 - 23
    local = least + (size - least) % (usable - 4)
    local = local if local <= most else least
    parts = [_exactly(page[offset : min(offset + local, usable)], local)]
    following = int.from_bytes(page[offset + local : offset + local + 4])
    left = size - local
    while left > 0:
        overflow = file.page(following)
        if overflow is None or size > usable * file.pages:
            raise ValueError("the rest of the row is gone")
        part = overflow[4 : 4 + min(left, usable - 4)]
        if not any(part):
            raise ValueError("the rest of the row was zeroed")
        parts.append(part)
        left -= usable - 4
        following = int.from_bytes(overflow[:4])
    if following:
        raise ValueError("the row goes on where it should end")
    return b"".join(parts)


def _exactly(content: bytes, size: int) -> bytes:
    if len(content) != size:
        raise ValueError("the row is longer than its page")
    return content


def _values(payload: bytes) -> list[Value]:
    """Read a record; raises ValueError if its parts do not add up to it."""
    header, at = _varint(payload, 0)
    kinds: list[int] = []
    while at < header:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    if at != header:
        raise ValueError("a record's header does not end where it should")
    values: list[Value] = []
    for kind in kinds:
        value, at = _value(payload, at, kind)
        values.append(value)
    if at != len(payload):
        raise ValueError("a record is not as long as its parts")
    return values


_INTEGER_SIZES: Final = (0, 1, 2, 3, 4, 6, 8)
_FLOAT: Final = 7
_ZERO: Final = 8
_ONE: Final = 9
_FIRST_BLOB: Final = 12


def _value(payload: bytes, at: int, kind: int) -> tuple[Value, int]:
    if kind == 0:
        return None, at
    if kind < _FLOAT:
        end = at + _INTEGER_SIZES[kind]
        return int.from_bytes(_exactly(payload[at:end], end - at), signed=True), end
    if kind == _FLOAT:
        (number,) = struct.unpack(">d", payload[at : at + 8])
        return number, at + 8
    if kind in (_ZERO, _ONE):
        return kind - _ZERO, at
    if kind < _FIRST_BLOB:
        raise ValueError("a kind of value that does not exist")
    end = at + (kind - _FIRST_BLOB) // 2
    content = _exactly(payload[at:end], end - at)
    return (content.decode() if kind % 2 else content), end


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = 0
    for _ in range(8):
        byte = content[at]
        at += 1
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at
    return value << 8 | content[at], at + 1
