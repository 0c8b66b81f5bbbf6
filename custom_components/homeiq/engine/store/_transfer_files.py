"""Write and read export files: compressed streams of lines with a header before and the content hash behind.

All here blocks and is for a thread. A file under its final name is whole: it is written under another name first.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
import csv
from dataclasses import dataclass
from enum import StrEnum
import fcntl
import gzip
from hashlib import sha256
import os
from pathlib import Path
import time
from typing import IO, Final
import zlib

import orjson

from ..model import BusyError, Json, TransferError
from ._integrity import sync
from ._transfer_lines import FIELDS, SLICE, Record, check_record

try:
    from compression import zstd
except ImportError:  # pragma: no cover - CPython built without it
    zstd = None  # type: ignore[assignment]

FORMAT: Final = 1
# Nobody else's file has such a name, so what an export that was killed has left may be written over.
_PARTIAL: Final = ".{name}.homeiq-partial"
_LONGEST_LINE: Final = 16 * 1024 * 1024
_GZIP_MAGIC: Final = b"\x1f\x8b"
_ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
SQLITE_MAGIC: Final = b"SQLite format 3\x00"
_COMMENT: Final = "#"
_NUMBER_INDEXES: Final = frozenset({FIELDS.index("time_us"), FIELDS.index("held_us")})


class ExportForm(StrEnum):
    """Name the forms of an export: one JSON object a line, or comma-separated values; how they are compressed."""

    JSONL_ZST = "jsonl_zst"
    JSONL_GZ = "jsonl_gz"
    CSV_GZ = "csv_gz"

    @property
    def is_csv(self) -> bool:
        """Return whether lines are comma-separated values."""
        return self is ExportForm.CSV_GZ


class ExportWriter:
    """Write one export; ``close`` gives it its final name, ``discard`` leaves nothing."""

    def __init__(self, target: Path, form: ExportForm, header: Mapping[str, Json]) -> None:
        """Begin the file beside its final name.

        Raises TransferError if the target is there already or its form is not known here, BusyError if it is being
        written, OSError for trouble with the disk.
        """
        if form is ExportForm.JSONL_ZST and zstd is None:
            raise TransferError("this Python has no zstd", field="form", value=form.value)
        self._target, self._form = target, form
        self._check_free()
        self._partial = target.with_name(_PARTIAL.format(name=target.name))
        self._file: IO[bytes] = _open_own(self._partial)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as err:
            self._file.close()
            raise BusyError(f"{target} is being written") from err
        try:
            self._file.truncate(0)
            self._stream = _compressor(self._file, form)
            self._write_mark(header)
            if form.is_csv:
                self._stream.write(f"{','.join(FIELDS)}\n".encode())
        except BaseException:
            self.discard()
            raise

    def add(self, lines: str) -> None:
        """Add lines, without the last line's end."""
        self._stream.write(lines.encode())
        self._stream.write(b"\n")

    def close(self, footer: Mapping[str, Json]) -> int:
        """End the file, wait until it is on the disk and give it its name; return its size in bytes."""
        self._write_mark(footer)
        self._stream.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._check_free()
        size = self._partial.stat().st_size
        self._partial.rename(self._target)
        self._file.close()
        sync(self._target.parent)
        return size

    def discard(self) -> None:
        """Leave nothing of it."""
        # What is still in the streams' buffers goes nowhere, also when the disk is full.
        self._partial.unlink(missing_ok=True)
        with suppress(OSError, AttributeError):
            self._stream.close()
        with suppress(OSError):
            self._file.close()

    def _write_mark(self, mark: Mapping[str, Json]) -> None:
        self._stream.write((_COMMENT.encode() if self._form.is_csv else b"") + orjson.dumps(mark) + b"\n")

    def _check_free(self) -> None:
        if self._target.exists():
            raise TransferError(f"{self._target} is there already", field="path", value=str(self._target))


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Hold some records of an export, how many lines were none, and the footer once it was met."""

    records: list[Record]
    refused: int
    footer: Mapping[str, Json] | None


class ExportReader:
    """Read one export from its beginning; use it as a context."""

    def __init__(self, source: Path) -> None:
        """Open the file and read its header; raises TransferError if it is no export, OSError if it cannot be read."""
        self._source = source
        self._raw: IO[bytes] = source.open("rb")
        try:
            self._stream = _decompressor(self._raw)
            first = self._line()
            self._is_csv = first.startswith(_COMMENT.encode())
            self.header = self._header(first)
            if self._is_csv:
                self._check_columns(self._line())
        except BaseException:
            self._raw.close()
            raise
        self.name = sha256(first).hexdigest()
        self.total = events if isinstance(events := self.header.get("events"), int) else None
        self._records = self._csv_records() if self._is_csv else self._json_records()

    def close(self) -> None:
        """Close the file."""
        self._raw.close()

    def take(self, limit: int) -> Batch:
        """Return up to ``limit`` records in the file's order; no records, no footer and no refused is the end.

        Raises TransferError if the file is cut off or damaged in its middle.
        """
        records: list[Record] = []
        refused = 0
        for item in self._records:
            if isinstance(item, dict):
                return Batch(records=records, refused=refused, footer=item)
            if item is None:
                refused += 1
            else:
                records.append(item)
            if len(records) % SLICE == 0:
                time.sleep(0)
            if len(records) + refused >= limit:
                break
        return Batch(records=records, refused=refused, footer=None)

    def _json_records(self) -> Iterator[Record | dict[str, Json] | None]:
        while line := self._line():
            try:
                value = orjson.loads(line)
                if isinstance(value, dict) and "sha256" in value:
                    yield value
                    return
                yield check_record([value[name] for name in FIELDS])
            except ValueError, TypeError, KeyError:
                yield None

    def _csv_records(self) -> Iterator[Record | dict[str, Json] | None]:
        rows = csv.reader(self._text_lines(), quoting=csv.QUOTE_NOTNULL)
        while True:
            try:
                row = next(rows, None)
                if row is None:
                    return
                if row and (row[0] or "").startswith(_COMMENT):
                    yield self._footer
                    return
                yield check_record(
                    [
                        int(value) if index in _NUMBER_INDEXES and value is not None else value
                        for index, value in enumerate(row)
                    ]
                )
            except ValueError, csv.Error:
                yield None

    def _text_lines(self) -> Iterator[str]:
        while line := self._line():
            if line.startswith(b'#{"') and b'"sha256"' in line:
                with suppress(ValueError):
                    self._footer = orjson.loads(line[1:])
            yield line.decode("utf-8", "replace")

    def _line(self) -> bytes:
        with self._readable():
            line = self._stream.readline(_LONGEST_LINE)
        if len(line) == _LONGEST_LINE:
            raise self._no_export("a line is longer than 16 MiB")
        return line

    @contextmanager
    def _readable(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, zlib.error, gzip.BadGzipFile) as err:
            raise self._no_export(f"the file is cut off or damaged: {err}") from err
        except Exception as err:
            if zstd is not None and isinstance(err, zstd.ZstdError):
                raise self._no_export(f"the file is cut off or damaged: {err}") from err
            raise

    def _check_columns(self, line: bytes) -> None:
        if line.rstrip() != ",".join(FIELDS).encode():
            raise self._no_export("the columns are not those of an export")

    def _header(self, line: bytes) -> Mapping[str, Json]:
        try:
            header = orjson.loads(line[1:] if self._is_csv else line)
            version = header["homeiq_export"]
        except (ValueError, TypeError, KeyError) as err:
            raise self._no_export("the file is no export of HomeIQ") from err
        if version != FORMAT:
            raise self._no_export(f"the export has format {version}, this HomeIQ knows {FORMAT}")
        return header  # type: ignore[no-any-return]  # indexed by a text, so it is an object

    def _no_export(self, message: str) -> TransferError:
        return TransferError(f"{self._source}: {message}", field="path", value=str(self._source))


def _open_own(path: Path) -> IO[bytes]:
    """Open a file for writing that is no way to another one; raises TransferError if it is a link, OSError."""
    file = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "wb")
    if os.fstat(file.fileno()).st_nlink > 1:
        file.close()
        raise TransferError(f"{path} has another name too", field="path", value=str(path))
    return file


def magic(source: Path) -> bytes:
    """Return the first bytes of a file, enough to tell what it is; raises OSError."""
    with source.open("rb") as file:
        return file.read(len(SQLITE_MAGIC))


def _compressor(file: IO[bytes], form: ExportForm) -> IO[bytes]:
    if form is ExportForm.JSONL_ZST:
        return zstd.ZstdFile(file, "w", level=3)  # type: ignore[return-value]  # it has all that is used
    return gzip.GzipFile(filename="", fileobj=file, mode="wb", compresslevel=6, mtime=0)  # type: ignore[return-value]


def _decompressor(file: IO[bytes]) -> IO[bytes]:
    first = file.read(len(_ZSTD_MAGIC))
    file.seek(0)
    if first.startswith(_GZIP_MAGIC):
        return gzip.GzipFile(fileobj=file, mode="rb")  # type: ignore[return-value]
    if first == _ZSTD_MAGIC:
        if zstd is None:
            raise TransferError("this Python has no zstd", field="path", value=str(file.name))
        return zstd.ZstdFile(file, "r")  # type: ignore[return-value]
    return file
