"""Say how much a child process may use."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bound one job: wall-clock and processor seconds, memory above the child's start in MiB, answer in bytes."""

    wall_s: float
    cpu_s: int
    memory_mb: int
    output_bytes: int
