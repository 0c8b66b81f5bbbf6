"""Limit the process that this code runs in; loaded by path in children, before they read their job.

Only what needs neither privileges nor a system call filter stands here. The order matters: `no new privileges` needs
ctypes and thereby an open file, so it comes before the limit on files.
"""

from collections.abc import Callable
import ctypes
import os
from pathlib import Path
import resource
from typing import Final

_PR_SET_NO_NEW_PRIVS: Final = 38  # linux/prctl.h
_MIB: Final = 1024 * 1024
_STANDARD_STREAMS: Final = 3

type Setter = Callable[[int, tuple[int, int]], None]


def address_space_bytes(statm: Path = Path("/proc/self/statm")) -> int:
    """Return how much address space the process holds now, half a GiB where the kernel does not tell."""
    try:
        return int(statm.read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    except OSError, ValueError, IndexError:
        return 512 * _MIB


def plan(*, cpu_s: int, memory_mb: int, confined: bool, in_use: int) -> dict[int, tuple[int, int]]:
    """Return the (soft, hard) limit of each resource.

    The soft limit on processor time ends the child with SIGXCPU, which tells the parent why; the hard one, a second
    later, with SIGKILL. A confined child may write no file, open none beside its standard streams and start no
    process (the last has no effect on root).
    """
    memory = in_use + memory_mb * _MIB
    limits = {
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_CPU: (cpu_s, cpu_s + 1),
        resource.RLIMIT_AS: (memory, memory),
    }
    if confined:
        limits |= {
            resource.RLIMIT_FSIZE: (0, 0),
            resource.RLIMIT_NPROC: (0, 0),
            resource.RLIMIT_NOFILE: (_STANDARD_STREAMS, _STANDARD_STREAMS),
        }
    return limits


def forbid_new_privileges() -> bool:
    """Keep set-user-id programs from giving this process more rights; return whether the kernel agreed."""
    try:
        prctl = ctypes.CDLL(None, use_errno=True).prctl
    except OSError, AttributeError:
        return False
    return bool(prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)


def confine(*, cpu_s: int, memory_mb: int, confined: bool, setrlimit: Setter = resource.setrlimit) -> None:
    """Take the limits on, for good. Raises OSError or ValueError if the kernel refuses one."""
    forbid_new_privileges()
    limits = plan(cpu_s=cpu_s, memory_mb=memory_mb, confined=confined, in_use=address_space_bytes())
    for kind, (soft, hard) in limits.items():
        setrlimit(kind, (soft, hard))
