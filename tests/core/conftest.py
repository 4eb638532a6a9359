"""A store and measured costs of its own for each test, and a grader that the tests of a module share."""

import pytest

from baton_reasoning.core.grading.grader import Grader
from baton_reasoning.core.model_costs import ModelCosts
from baton_reasoning.core.store.store import Store
from tests.patience import PATIENCE


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "baton.sqlite"


@pytest.fixture
def store(path):
    with Store.open(path) as store:
        yield store


@pytest.fixture
def costs(tmp_path):
    return ModelCosts(tmp_path / "data" / "costs.json")


@pytest.fixture(scope="module")
def grader():
    with Grader(PATIENCE) as grader:
        yield grader
