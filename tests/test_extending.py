"""The engine, reader and export of docs/examples run, and so does a policy in a package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from arrows import read
from echo import EchoEngine
from plain import to_text

from baton_reasoning.core.batch.reading.source import ProblemSource, Record, Rejected
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.export.exported import Answered, Exported
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.store.conversations import StoredExchange
from baton_reasoning.core.thinking.events import Finish
from baton_reasoning.core.thinking.trace import Trace
from tests.core.thinking.running import keywords
from tests.core.thinking.running import run as run_scripted

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]

FORM = """
from PySide6.QtWidgets import QApplication
from baton_reasoning.app.toolkit.forms.form import SettingsForm
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.thinking.registry import POLICIES
application = QApplication([])
value = RunSettings(policy="my-policy")
form = SettingsForm(value, RunSettings())
print(sorted(row.entry.path[-1] for row in form._rows if row.entry.path[0] == "policy"))
print(form.editor("policy", "every").accessibleName())
"""


@pytest.fixture
def installed(tmp_path):
    """A policy in a package of its own: the environment in which it is installed."""
    shipped = (ROOT / "docs" / "examples" / "periodic.py").read_text(encoding="utf-8")
    (tmp_path / "my_policy.py").write_text(shipped.replace('"periodic"', '"my-policy"'), encoding="utf-8")
    folder = tmp_path / "my_policy-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: my_policy\nVersion: 1.0\n", encoding="utf-8")
    points = "[baton_reasoning.policies]\nmy-policy = my_policy:Periodic\n"
    (folder / "entry_points.txt").write_text(points, encoding="utf-8")
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    home = {name: str(tmp_path / "home") for name in ("HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")}
    return {**os.environ, **home, "PYTHONPATH": path, "QT_QPA_PLATFORM": "offscreen"}


def output_of(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 3), done.stderr
    return done.stdout


def test_an_installed_policy_runs_in_the_terminal(installed):
    models = ("--small", "demo", "--large", "demo")
    words = ("-m", "baton_reasoning", "solve", "2 + 2?", *models, "--policy", "my-policy", "--set", "every=2", "--json")
    lines = [json.loads(line) for line in output_of(installed, *words).splitlines()]
    assert lines[0]["settings"]["policy"] == {"policy": "my-policy", "every": 2, "step_cap": 512}
    assert {line["reason"] for line in lines if line["event"] == "takeover_started"} >= {"my-policy"}


def test_an_installed_policy_has_its_fields_in_the_form(installed):
    shown = output_of(installed, "-c", FORM).splitlines()
    assert shown == ["['every', 'policy', 'step_cap']", "Every n-th step"]


def test_the_engine_runs_in_the_loop():
    engine = EchoEngine()
    settings = RunSettings(policy="every-step", instruction="")
    trace = Trace.of(run(Pair(engine, engine), ask("Say this again.", settings), settings))
    assert (trace.text, trace.finish) == ("Say this again. ", Finish.END_OF_TEXT)
    assert trace.totals[Author.LARGE].kept == 3


def test_the_reader_reads_and_rejects():
    assert list(read(ProblemSource("a.qa", b"2 + 2? => 4\n\n3 + 3?\n"))) == [
        Record(1, {"problem": "2 + 2?", "answer": "4"}),
        Rejected(3, "There is no => between question and answer."),
    ]


def test_the_export_writes_what_was_shown():
    now = datetime.now(UTC)
    trace = run_scripted(keywords(), ["One.</think>\n\nFour."]).trace
    exchange = StoredExchange("1", None, "2 + 2?", {}, now)
    exported = Exported("Sums", (Answered(exchange, trace),), "1", now)
    assert to_text(exported) == "2 + 2?\n\nFour.\n"
