"""Start a child, feed it, read its answer within limits, and make sure that it is gone afterwards."""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
import json
import logging
import os
from pathlib import Path
import signal
import sys
from typing import Final, override

from ..model import BusyError, ChildError, Json
from ._limits import Limits

_LOGGER = logging.getLogger(__name__)

_CHILD: Final = Path(__file__).resolve().parent / "_child.py"
_PACKAGES: Final = ("yaml", "jinja2", "markupsafe", "numpy", "orjson", "aiosqlite", "ulid_transform")
_TAIL_BYTES: Final = 2000
# Two cores are usual: mining has one child for minutes, and a text is read beside it. Each may take 256 MB and more.
_CHILDREN: Final = 2
_WAITING: Final = 16
_STDIN, _STDERR = 0, 2
# What Python ends with after an error that nothing caught: the child catches all that its job can raise.
_UNCAUGHT: Final = 1
_REASONS_OF_SIGNALS: Final = {signal.SIGXCPU: "cpu"}
_REASONS_GIVEN: Final = frozenset({"memory", "failed"})


def import_folders(packages: Sequence[str] = _PACKAGES) -> list[str]:
    """Return the folders that this process imports third-party packages from; touches the disk.

    Home Assistant may hold them outside of site-packages, and the child must import the very same ones.
    """
    folders: dict[str, None] = {}
    for package in packages:
        spec = find_spec(package)
        if spec is not None and spec.origin is not None:
            folders[str(Path(spec.origin).resolve().parent.parent)] = None
    return list(folders)


class _Conversation(asyncio.SubprocessProtocol):
    """Collect what the child says, up to a cap."""

    def __init__(self, limit: int) -> None:
        """Start empty; more than ``limit`` bytes of answer count as overflow."""
        self._limit = limit
        self.answer = bytearray()
        self.tail = bytearray()
        self.overflowed = False
        loop = asyncio.get_running_loop()
        self.ended: asyncio.Future[None] = loop.create_future()
        self.exited: asyncio.Future[None] = loop.create_future()

    @override
    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == _STDERR:
            self.tail = (self.tail + data)[-_TAIL_BYTES:]
        elif len(self.answer) + len(data) <= self._limit:
            self.answer += data
        elif not self.ended.done():
            self.overflowed = True
            self.ended.set_result(None)

    @override
    def process_exited(self) -> None:
        self.exited.set_result(None)

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        # Called once the process has been reaped and all its pipes are closed.
        if not self.ended.done():
            self.ended.set_result(None)


class ChildRunner:
    """Run jobs of ``engine/jobs.py``, each in a fresh ``python -I`` process with limits; two at once, the rest wait."""

    def __init__(
        self, python: str = sys.executable, *, environment: Mapping[str, str] | None = None, child: Path = _CHILD
    ) -> None:
        """Keep the interpreter to start, the child's whole environment (empty by default) and the child's program."""
        self._python = python
        self._environment = dict(environment or {})
        self._child = child
        self._folders: list[str] | None = None
        self._slots = asyncio.Semaphore(_CHILDREN)
        self._waiting = 0

    async def run(self, job: str, payload: Json, limits: Limits) -> Json:
        """Return what the job answers to the payload.

        Raises ChildError with the reason: start (it could not be started), timeout, memory, cpu, crash (it died or was
        killed), output (it said too much), answer (what it said is no answer) or failed (the job raised an error).
        Raises BusyError where 16 jobs wait already; waiting for a turn is not counted against the limits.
        The child and all that it started in its session are gone when this returns, raises or is cancelled.
        """
        if self._waiting >= _WAITING:
            raise BusyError(f"{_WAITING} jobs wait for a child process already")
        self._waiting += 1
        try:
            await self._slots.acquire()
        finally:
            self._waiting -= 1
        try:
            return await self._run(job, payload, limits)
        finally:
            self._slots.release()

    async def _run(self, job: str, payload: Json, limits: Limits) -> Json:
        if self._folders is None:
            self._folders = await asyncio.get_running_loop().run_in_executor(None, import_folders)
        request = json.dumps(
            {"job": job, "folders": self._folders, "cpu_s": limits.cpu_s, "memory_mb": limits.memory_mb}
        )
        conversation, transport = await self._start(request, limits)
        try:
            _feed(transport, json.dumps(payload).encode())
            async with asyncio.timeout(limits.wall_s):
                await conversation.ended
        except TimeoutError:
            raise ChildError(f"job {job} took longer than {limits.wall_s} s", reason="timeout") from None
        finally:
            await _end(transport, conversation)
        return _judge(job, transport.get_returncode(), conversation)

    async def _start(self, request: str, limits: Limits) -> tuple[_Conversation, asyncio.SubprocessTransport]:
        loop = asyncio.get_running_loop()
        try:
            transport, conversation = await loop.subprocess_exec(
                lambda: _Conversation(limits.output_bytes),
                self._python,
                "-I",
                str(self._child),
                request,
                env=self._environment,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise ChildError(f"no child process could be started: {error}", reason="start") from error
        return conversation, transport


def _feed(transport: asyncio.SubprocessTransport, payload: bytes) -> None:
    stdin = transport.get_pipe_transport(_STDIN)
    assert isinstance(stdin, asyncio.WriteTransport)
    stdin.write(payload)
    stdin.close()


async def _end(transport: asyncio.SubprocessTransport, conversation: _Conversation) -> None:
    """Kill whatever is left of the child's session, wait until the loop has reaped the child, close its pipes."""
    # The group keeps its number while any member lives, so this cannot hit a stranger as long as there is something to
    # kill; once nothing is left, the number is free again but not handed out anew until the kernel has wrapped around.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(transport.get_pid(), signal.SIGKILL)
    # Not before: closing polls, and a child reaped by the poll is one whose status the loop never learns. As a
    # callback, because a second cancellation can end the waiting below.
    conversation.exited.add_done_callback(lambda _: transport.close())
    await asyncio.shield(conversation.exited)


def _judge(job: str, status: int | None, conversation: _Conversation) -> Json:
    """Return the answer of a child that has ended; raises ChildError for every other end."""
    if conversation.tail:
        _LOGGER.debug("child job %s wrote to stderr: %s", job, conversation.tail.decode(errors="replace"))
    if conversation.overflowed:
        raise ChildError(f"job {job} answered more than it may", reason="output")
    if status == _UNCAUGHT:
        raise ChildError(f"the child for job {job} could not set itself up", reason="start")
    if status != 0:
        reason = _REASONS_OF_SIGNALS.get(signal.Signals(-status), "crash") if status and status < 0 else "crash"
        raise ChildError(f"job {job} ended with status {status}", reason=reason)
    try:
        answer = json.loads(bytes(conversation.answer))
    except ValueError, RecursionError:
        raise ChildError(f"job {job} did not answer in JSON", reason="answer") from None
    match answer:
        case {"ok": value}:
            return value  # type: ignore[no-any-return]  # json.loads gives nothing but Json
        case {"error": str(reason), "message": str(message)} if reason in _REASONS_GIVEN:
            raise ChildError(f"job {job} failed: {message}", reason=reason)
        case _:
            raise ChildError(f"job {job} answered something else", reason="answer")
