"""The command `baton` in this process, for what needs no process of its own: signals and real streams do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from subprocess import CompletedProcess
from typing import Any, ClassVar, Self, cast

import pytest

from app.cli import main
from core.engines import factory
from core.engines.local.client import LocalEngine

Baton = Callable[..., CompletedProcess[str]]


class KeptEngine(LocalEngine):
    """A real engine that outlives the command that opened it, for the next that opens this model in the same way."""

    idle: ClassVar[defaultdict[str, list[KeptEngine]]] = defaultdict(list)

    def __new__(cls, *opened_as: object, on_progress: object = None, **more: object) -> Self:  # noqa: ARG004
        idle = cls.idle[repr((opened_as, more))]
        while idle:
            if (kept := idle.pop()).process.alive:
                return cast(Self, kept)
        return super().__new__(cls)

    def __init__(self, *opened_as: Any, on_progress: Callable[[float], object] = lambda _: None, **more: Any) -> None:
        if not hasattr(self, "key"):
            super().__init__(*opened_as, on_progress=on_progress, **more)
            self.key = repr((opened_as, more))

    def close(self) -> None:
        self.idle[self.key].append(self)


@pytest.fixture(scope="module")
def kept_engines() -> Iterator[None]:
    yield
    for engines in KeptEngine.idle.values():
        for engine in engines:
            LocalEngine.close(engine)
    KeptEngine.idle.clear()


@pytest.fixture(autouse=True)
def loaded_once(kept_engines: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model is loaded once a module and options, not once a command."""
    monkeypatch.setattr(factory, "LocalEngine", KeptEngine)


@pytest.fixture
def baton(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Baton:
    """Runs one command with these arguments and environment variables, as a pipe would see it."""

    def baton(*arguments: str, **environment: str) -> CompletedProcess[str]:
        capsys.readouterr()
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            code = main(arguments)
        output = capsys.readouterr()
        return CompletedProcess(arguments, code, output.out, output.err)

    return baton
