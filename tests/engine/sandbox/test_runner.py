"""The runner gets an answer from a well-behaved child and outlives every other one; all children here are real."""

import asyncio
import os
from pathlib import Path
import signal
import sys
import threading
import time

import pytest

from homeiq_engine.model import BusyError, ChildError
from homeiq_engine.sandbox import ChildRunner, Limits

HOSTILE = Path(__file__).with_name("hostile_child.py")
LIMITS = Limits(wall_s=20, cpu_s=10, memory_mb=256, output_bytes=1_000_000)
# Lets coverage follow the children that may write files; it is empty when nothing is measured.
COVERAGE = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE")}


@pytest.fixture
def hostile() -> ChildRunner:
    """Return a runner whose children know only ill-behaved jobs, in an empty environment."""
    return ChildRunner(child=HOSTILE)


async def reason_of(runner: ChildRunner, job: str, payload: object = None, limits: Limits = LIMITS) -> str:
    """Run a job that must fail and return the reason."""
    with pytest.raises(ChildError) as caught:
        await runner.run(job, payload, limits)
    assert caught.value.code == "child"
    return caught.value.reason


async def wait_for_number(path: Path) -> int:
    """Return the process number that a job notes in a file."""
    async with asyncio.timeout(20):
        while not (noted := read(path)):
            await asyncio.sleep(0.01)
    return int(noted)


def read(path: Path) -> str:
    """Return what a file holds, nothing if it is not there."""
    return path.read_text(encoding="ascii") if path.exists() else ""


def is_running(pid: int) -> bool:
    """Return whether a process with this number lives; a zombie does not."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    except OSError:
        return False
    return "State:\tZ" not in status


async def wait_until_gone(pid: int) -> None:
    """Return once the process is gone, which a kill needs a moment for."""
    async with asyncio.timeout(5):
        while is_running(pid):
            await asyncio.sleep(0.01)


async def test_a_job_gets_its_payload_and_its_answer_comes_back(hostile: ChildRunner) -> None:
    payload = {"text": "€ 😀 \x00", "list": [1, 2.5, None, True], "nested": {"a": {}}}
    assert await hostile.run("echo", payload, LIMITS) == payload


async def test_a_payload_of_megabytes_arrives_whole(hostile: ChildRunner) -> None:
    payload = "x" * 3_000_000
    limits = Limits(wall_s=20, cpu_s=10, memory_mb=256, output_bytes=4_000_000)
    assert await hostile.run("echo", payload, limits) == payload


async def test_a_child_that_coverage_follows_answers_the_same(tmp_path: Path) -> None:
    runner = ChildRunner(child=HOSTILE, environment=COVERAGE)
    target = tmp_path / "file"
    assert await runner.run("write_file", str(target), LIMITS) == "written"
    assert target.read_text(encoding="ascii") == "x"


async def test_a_child_sees_no_environment_and_no_folder_of_the_parent(
    hostile: ChildRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SUPERVISOR_TOKEN", "secret")
    seen = await hostile.run("surroundings", None, LIMITS)
    assert set(seen["environment"]) <= {"LC_CTYPE"}  # Python's own, from coercing the C locale
    assert seen["folder"] == "/"
    assert seen["session"] is True
    assert seen["no_new_privileges"] is True


async def test_a_child_inherits_no_open_file_of_the_parent(hostile: ChildRunner, tmp_path: Path) -> None:
    inheritable = True
    with (tmp_path / "secret").open("w", encoding="ascii") as file:
        os.set_inheritable(file.fileno(), inheritable)
        seen = await hostile.run("surroundings", None, LIMITS)
    # The standard streams, the program's own text and the listing itself.
    assert len(seen["files"]) <= 5
    assert max(seen["files"]) < 10


async def test_a_child_never_imports_home_assistant_and_starts_fast(capsys: pytest.CaptureFixture[str]) -> None:
    runner = ChildRunner(child=HOSTILE)
    before = time.perf_counter()
    modules = await runner.run("modules", None, LIMITS)
    first = time.perf_counter() - before
    before = time.perf_counter()
    await runner.run("echo", None, LIMITS)
    second = time.perf_counter() - before
    with capsys.disabled():
        print(
            f" [child: first {first * 1000:.0f} ms, then {second * 1000:.0f} ms] ",
            end="",
        )
    assert not [name for name in modules if name.split(".")[0] in {"homeassistant", "custom_components", "asyncio"}]
    assert "homeiq_engine.model" not in modules
    assert second < 10


async def test_the_child_imports_the_very_packages_of_the_parent(hostile: ChildRunner) -> None:
    import jinja2  # noqa: PLC0415
    import yaml  # noqa: PLC0415

    assert await hostile.run("origins", None, LIMITS) == {"yaml": yaml.__file__, "jinja2": jinja2.__file__}


@pytest.mark.parametrize(
    ("job", "reason"),
    [
        ("allocate", "memory"),
        ("flood", "output"),
        ("forge", "answer"),
        ("nest", "answer"),
        ("mute", "answer"),
        ("other", "answer"),
        ("invent_reason", "answer"),
        ("die", "crash"),
        ("kill_by_number", "crash"),
        ("fail", "failed"),
        ("leave", "failed"),
        ("not_json", "failed"),
        ("nan", "failed"),
        ("no_such_job", "start"),
        ("warm_missing", "start"),
    ],
)
async def test_an_ill_behaved_job_gives_its_reason(hostile: ChildRunner, job: str, reason: str) -> None:
    assert await reason_of(hostile, job) == reason


async def test_a_job_that_uses_up_its_processor_time_is_ended(hostile: ChildRunner) -> None:
    limits = Limits(wall_s=20, cpu_s=1, memory_mb=256, output_bytes=1000)
    assert await reason_of(hostile, "spin", limits=limits) == "cpu"


async def test_a_job_that_sleeps_is_ended_by_the_wall_clock(hostile: ChildRunner) -> None:
    limits = Limits(wall_s=0.5, cpu_s=10, memory_mb=256, output_bytes=1000)
    before = time.perf_counter()
    assert await reason_of(hostile, "sleep", limits=limits) == "timeout"
    assert time.perf_counter() - before < 5


async def test_what_a_job_prints_is_no_part_of_its_answer(hostile: ChildRunner) -> None:
    assert await hostile.run("chatter", None, LIMITS) == "done"


async def test_a_confined_job_reads_and_writes_no_file(hostile: ChildRunner, tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_text("content", encoding="ascii")
    assert await hostile.run("read_file", str(target), LIMITS) == "content"
    assert await reason_of(hostile, "read_file_confined", str(target)) == "failed"
    assert await reason_of(hostile, "write_file_confined", str(tmp_path / "new")) == "failed"
    assert not (tmp_path / "new").exists()


async def test_a_child_killed_from_outside_in_the_middle_of_its_job_is_a_crash(
    hostile: ChildRunner, tmp_path: Path
) -> None:
    running = asyncio.create_task(reason_of(hostile, "note_and_sleep", str(tmp_path / "pid")))
    os.kill(await wait_for_number(tmp_path / "pid"), signal.SIGKILL)
    assert await running == "crash"


async def test_a_cancelled_run_leaves_no_child(hostile: ChildRunner, tmp_path: Path) -> None:
    running = asyncio.create_task(hostile.run("note_and_sleep", str(tmp_path / "pid"), LIMITS))
    pid = await wait_for_number(tmp_path / "pid")
    assert is_running(pid)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert not is_running(pid)


async def test_a_process_that_a_child_leaves_behind_is_ended_too(hostile: ChildRunner, tmp_path: Path) -> None:
    limits = Limits(wall_s=2, cpu_s=10, memory_mb=256, output_bytes=1000)
    assert await reason_of(hostile, "leave_child", str(tmp_path / "pid"), limits) == "timeout"
    await wait_until_gone(int((tmp_path / "pid").read_text(encoding="ascii")))


async def test_many_children_at_once_get_their_own_answers_and_leave_no_thread(hostile: ChildRunner) -> None:
    await hostile.run("echo", 0, LIMITS)
    before = threading.active_count()
    assert await asyncio.gather(*(hostile.run("echo", number, LIMITS) for number in range(6))) == list(range(6))
    assert threading.active_count() == before


async def test_no_more_than_two_children_run_at_once(hostile: ChildRunner, tmp_path: Path) -> None:
    files = [tmp_path / str(number) for number in range(3)]
    running = [asyncio.create_task(hostile.run("note_and_sleep", str(file), LIMITS)) for file in files]
    pids = [await wait_for_number(file) for file in files[:2]]
    await asyncio.sleep(0.3)
    assert read(files[2]) == ""
    os.kill(pids[0], signal.SIGKILL)
    pids.append(await wait_for_number(files[2]))
    for task in running:
        task.cancel()
    assert [str(result) for result in await asyncio.gather(*running, return_exceptions=True)][1:] == ["", ""]
    assert not [pid for pid in pids if is_running(pid)]


async def test_more_jobs_than_may_wait_are_refused_and_a_place_that_is_given_up_is_free(
    hostile: ChildRunner, tmp_path: Path
) -> None:
    busy = [
        asyncio.create_task(hostile.run("note_and_sleep", str(tmp_path / str(number)), LIMITS)) for number in range(2)
    ]
    for number in range(2):
        await wait_for_number(tmp_path / str(number))
    waiting = [asyncio.create_task(hostile.run("echo", number, LIMITS)) for number in range(16)]
    await asyncio.sleep(0)
    with pytest.raises(BusyError) as refused:
        await hostile.run("echo", 16, LIMITS)
    assert refused.value.code == "busy"
    waiting.pop(0).cancel()
    await asyncio.sleep(0)
    waiting.append(asyncio.create_task(hostile.run("echo", 16, LIMITS)))
    for task in busy:
        task.cancel()
    assert await asyncio.gather(*waiting) == list(range(1, 17))


async def test_an_interpreter_that_is_not_there_is_a_failed_start() -> None:
    assert await reason_of(ChildRunner("/nonexistent/python"), "mine") == "start"


async def test_the_products_own_children_know_none_of_the_hostile_jobs() -> None:
    assert await reason_of(ChildRunner(), "spin") == "start"


async def test_the_product_uses_the_interpreter_that_runs_it() -> None:
    answer = await ChildRunner(sys.executable).run("read_automation", {"text": "alias: x"}, LIMITS)
    assert answer == {"automation": {"alias": "x"}, "findings": []}
