"""List what a child process may be asked to do: the composition root of children."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Name a job's function and what it needs.

    ``target`` is ``module:function``, the module relative to the engine. ``confined`` jobs get no file, ``warm`` names
    the modules to import before the limits hold, among them those that a library would import late.
    """

    target: str
    confined: bool
    warm: tuple[str, ...] = ()


JOBS: Final[Mapping[str, Job]] = MappingProxyType(
    {
        "mine": Job(target=".cycle:mine_job", confined=False, warm=("numpy",)),
        # Imported late by jinja2: its error rewriting, and what decodes the escapes of a text in quotes.
        "read_automation": Job(
            target=".verdict:read_job",
            confined=True,
            warm=("yaml", "jinja2", "jinja2.debug", "jinja2.ext", "encodings.unicode_escape"),
        ),
    }
)
