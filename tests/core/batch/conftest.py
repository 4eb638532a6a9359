"""A store and a grader of its own for each test."""

import pytest

from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.store.store import Store
from tests.patience import PATIENCE


@pytest.fixture
def path(tmp_path):
    return tmp_path / "baton.sqlite"


@pytest.fixture
def store(path):
    with Store.open(path) as store:
        yield store


@pytest.fixture
def grader():
    with Grader(PATIENCE) as grader:
        yield grader
