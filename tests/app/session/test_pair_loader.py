"""The window's pair is opened with the demo at the cost of a real one, or with a remark that it is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from baton_reasoning.app.session.loaded_models import Remark, close_pair
from baton_reasoning.app.session.pair_loader import PairLoader
from baton_reasoning.core.demo_pair import LARGE_MODEL, costly
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.run import Pair
from baton_reasoning.core.settings import ModelChoice

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def a_little_more_costly(monkeypatch):
    monkeypatch.delenv(costly.SWITCH)
    monkeypatch.setattr(costly, "RATIO", 2)
    monkeypatch.setattr(costly, "BLOCK", costly.Shape(feed_forward=256))


def loaded(paths: Paths) -> tuple[list[str], list[Remark], Path | None]:
    """What was shown, what is to be known, and the file of the large model."""
    texts, remarks, pair = [], [], Pair()
    for item in PairLoader(paths)(ModelChoice(), lambda _: None):
        match item:
            case str():
                texts.append(item)
            case Remark():
                remarks.append(item)
            case Pair():
                pair = item
    close_pair(pair)
    return texts, remarks, pair.large.card.path if pair.large else None


def test_the_demo_pair_is_made_at_the_first_start(tmp_path):
    paths = Paths.under(tmp_path)
    texts, remarks, file = loaded(paths)
    assert texts[0] == costly.MAKING
    assert not remarks
    assert file
    assert file.parent == paths.demo_pair
    texts, remarks, file = loaded(paths)
    assert costly.MAKING not in texts
    assert not remarks
    assert file
    assert file.parent == paths.demo_pair


def test_without_room_the_tiny_pair_is_opened_with_a_remark(tmp_path):
    paths = Paths.under(tmp_path)
    paths.cache.write_text("a file, where a folder should be", encoding="utf-8")
    _, remarks, file = loaded(paths)
    (remark,) = remarks
    assert "equally fast" in remark.text
    assert file == LARGE_MODEL
