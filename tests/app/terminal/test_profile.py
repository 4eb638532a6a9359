"""`baton profile` on the demo pair's small model, as a person calls it."""

import json

import pytest

from baton_reasoning.app.cli import main
from baton_reasoning.app.terminal.profile import written
from baton_reasoning.core.demo_pair import READY_PROBLEMS, SMALL_MODEL
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.thinking.cues import Category, parse_lexicon
from baton_reasoning.core.thinking.policies.never import Never
from tests.fakes.scripted import ScriptedEngine

pytestmark = pytest.mark.slow
SHORT = ("--problems", str(READY_PROBLEMS), *"--limit 1 --max-tokens 30 --threads 1".split())


def test_a_model_is_profiled_and_its_cue_list_written(tmp_path, capsys):
    out = tmp_path / "cues.json"
    options = ["--problems", str(READY_PROBLEMS), *"--limit 4 --max-tokens 300 --threads 1".split()]
    assert main(["profile", str(SMALL_MODEL), *options, "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "boundaries; after" in said
    assert "known cue" in said
    kept = out.read_text()
    assert main(["profile", str(SMALL_MODEL), "--out", str(out)]) == 2
    assert out.read_text() == kept
    assert "hold on" in parse_lexicon(kept).cues[Category.REFLECTION]


def test_the_model_writes_each_problem_alone():
    engine = ScriptedEngine("One.\n\nWait.</think>1")
    texts = list(written(engine, ("a", "b"), RunSettings(policy=Never.Settings())))
    assert len(texts) == 2
    assert all(text.startswith("One.\n\nWait.") for text in texts)


def test_the_counts_are_one_json_object(capsys):
    assert main(["profile", str(SMALL_MODEL), *SHORT, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert "too few to judge" in said["advice"]
    assert said["boundaries"] >= 0
