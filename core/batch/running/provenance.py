"""Records where results come from (versions, machine, command line, models), for others to repeat and audit them."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed_version
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict, Field

from baton_reasoning.core.batch.reading.problems import ProblemOrigin
from baton_reasoning.core.version import version


class Provenance(BaseModel):
    """How a batch was begun."""

    model_config = ConfigDict(frozen=True)

    baton: str = Field("", description="Version of Baton.")
    llama_cpp_python: str = Field("", description="Version of the binding, which fixes that of llama.cpp.")
    python: str = ""
    system: str = Field("", description="Operating system, its version and the architecture.")
    processor: str = ""
    cores: int = Field(0, description="Logical CPU cores.")
    memory: int = Field(0, description="Bytes of RAM.")
    command: tuple[str, ...] = Field((), description="Command line; empty for a batch of the window.")
    small: str = Field("", description="The small model as it was named: a file, or the address of a server.")
    large: str = Field("", description="The large model as it was named.")
    begun: datetime | None = None
    problems: ProblemOrigin = ProblemOrigin()

    @classmethod
    def of_this_machine(
        cls,
        command: Sequence[str] = (),
        small: str = "",
        large: str = "",
        problems: ProblemOrigin = ProblemOrigin(),  # noqa: B008 - immutable
    ) -> Provenance:
        return cls(
            baton=version(),
            llama_cpp_python=_installed("llama-cpp-python"),
            python=platform.python_version(),
            system=platform.platform(),
            processor=_processor(),
            cores=os.cpu_count() or 0,
            memory=psutil.virtual_memory().total,
            command=tuple(map(without_password, command)),
            small=without_password(small),
            large=without_password(large),
            begun=datetime.now(UTC),
            problems=problems,
        )


def without_password(text: str) -> str:
    """Remove user and password from an address."""
    return re.sub(r"//[^/@\s]*@", "//…@", text)


def _installed(package: str) -> str:
    try:
        return installed_version(package)
    except PackageNotFoundError:
        return ""


def _processor() -> str:
    """Return the name of the CPU; platform.processor() is empty on Linux."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor()
