import pytest

from baton_reasoning.core.store.store import Store


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "baton.sqlite"


@pytest.fixture
def store(path):
    with Store.open(path) as opened:
        yield opened
