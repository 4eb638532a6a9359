"""A store and a grader of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.store.store import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "baton.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store.open(path) as store:
        yield store


@pytest.fixture
def grader() -> Iterator[Grader]:
    with Grader() as grader:
        yield grader
