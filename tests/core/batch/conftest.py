"""A store and a grader of its own for each test."""

from __future__ import annotations

import pytest

from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.store.store import Store


@pytest.fixture
def path(tmp_path):
    return tmp_path / "baton.sqlite"


@pytest.fixture
def store(path):
    with Store.open(path) as store:
        yield store


@pytest.fixture
def grader():
    with Grader() as grader:
        yield grader
