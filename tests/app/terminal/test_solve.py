"""`baton solve` as a person or a program calls it, on the demo pair."""

from __future__ import annotations

import io
import json
import shutil
import signal
import subprocess
import sys

import pytest

from baton_reasoning.app.cli import main
from baton_reasoning.core.demo_pair import BATCH_PROBLEMS, LARGE_MODEL, SMALL_MODEL, DemoProblem
from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.models.options import LoadOptions, ModelOverrides, ModelPreferences, save_preferences
from baton_reasoning.core.thinking.trace_json import trace_from_lines
from tests.app.terminal.conftest import DEMO
from tests.core.thinking.oracles.worlds import World
from tests.fakes.world_server import world_server
from tests.patience import PATIENCE

pytestmark = pytest.mark.slow

PROBLEM = DemoProblem(60_836)
EVERY = ("--policy", "every-step", "-n", "40")


def test_a_problem_is_answered_in_steps_signed_by_their_author_with_a_summary(baton):
    done = baton("solve", PROBLEM.question, "--steps")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("● Step 1: 60836 is even, half of it is 30418.")
    assert any(line.startswith("◆ ") for line in lines)
    assert f"\\boxed{{{PROBLEM.answer}}}" in done.stdout
    assert "large share" in done.stderr
    assert "\033" not in done.stdout, "no colours in a pipe"
    assert "</think>" not in done.stdout


def test_a_pipe_gets_the_answer_alone(baton):
    done = baton("solve", PROBLEM.question)
    assert "the large model alone would have taken about" in done.stderr
    assert done.stdout == f"The number after all steps is \\boxed{{{PROBLEM.answer}}}.\n"
    assert "large share" in done.stderr
    assert baton("solve", PROBLEM.question, "-q").stderr == ""


def test_a_text_that_ends_before_its_answer_is_said_to(baton):
    done = baton("solve", PROBLEM.question, "-q", "-n", "5")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "baton: The text ended before an answer; --steps prints what there is.\n"


def test_what_is_piped_in_is_the_problem_or_comes_before_it(tmp_path, baton, monkeypatch):
    file = tmp_path / "piped.txt"

    def problem(*arguments: str) -> str:
        with file.open(encoding="utf-8") as stream, monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", stream)
            first = baton("solve", *arguments, *DEMO, "--json", "-n", "1").stdout.splitlines()[0]
        asked: str = json.loads(first)["conversation"][0]["content"]
        return asked.partition("\nPlease reason")[0]

    file.write_text("Two and two\nare five.\n", encoding="utf-8")
    assert problem() == problem("-") == "Two and two\nare five."
    assert problem("Is this right?") == "Two and two\nare five.\n\nIs this right?"
    file.write_text("Two and two", encoding="utf-8-sig")
    assert problem() == "Two and two", "a byte order mark is no part of it"
    file.write_text("", encoding="utf-8")
    assert problem("What is 2 + 2?") == "What is 2 + 2?"


@pytest.mark.parametrize("arguments", [["What is 2 + 2?"], ["What is 2 + 2?", "-q"], ["-", "--json"]])
def test_a_question_that_the_demo_pair_cannot_answer_needs_models(arguments, baton, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("What is 2 + 2?\n"))
    done = baton("solve", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    for words in ("No models are named", "baton demo", "--small … --large …"):
        assert words in done.stderr


def test_the_demo_pair_answers_anything_if_a_person_names_it(baton, monkeypatch):
    named = baton("solve", "What is 2 + 2?", "-n", "5", *DEMO)
    assert named.returncode == 3
    assert named.stderr.count("only number puzzles") == 1
    assert "means nothing" in named.stderr
    assert baton("solve", "What is 2 + 2?", "-n", "5", BATON_SMALL="demo", BATON_LARGE="demo").returncode == 3
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PROBLEM.question}\n"))
    asked = baton("solve", "-")
    assert asked.returncode == 0, "a puzzle of its own needs no names"
    assert "No models are named, so the demo pair runs" in asked.stderr


def test_drafts_are_turned_on_for_one_run(baton):
    trace = trace_from_lines(baton("solve", PROBLEM.question, "--json", "--drafts", "on").stdout.splitlines())
    assert trace.totals[Author.LARGE].drafts > 0


def test_what_a_pair_costs_is_measured_once_and_predicted_from_then_on(tmp_path, baton):
    folder = {"XDG_CACHE_HOME": str(tmp_path)}
    models = ("--small", str(SMALL_MODEL), "--large", str(LARGE_MODEL))
    solve = ("solve", PROBLEM.question, *models, "--policy", "every-step")
    first = baton(*solve, **folder)
    assert "tok/s; drafted" not in first.stderr
    assert "; the large model alone would have taken about " in first.stderr
    costs = tmp_path / "baton" / "model_costs.json"
    measured = json.loads(costs.read_text())
    for file, cost in ((SMALL_MODEL, 0.1), (LARGE_MODEL, 0.25)):
        measured["models"][str(file)]["cost"] = {"decode": cost, "further": cost, "prefill": 0}
    costs.write_text(json.dumps(measured))
    second = baton(*solve, **folder)
    assert "Large alone about 4 tok/s; drafted about 4; pair about 8 at a large share of 20%." in second.stderr
    assert json.loads(costs.read_text()) == measured
    assert "Large alone" not in baton(*solve, "--json", **folder).stderr


def test_the_demo_pair_named_by_its_files_is_run_with_the_same_settings(tmp_path, baton):
    small, large = (shutil.copy(model, tmp_path / f"copy-{model.name}") for model in (SMALL_MODEL, LARGE_MODEL))
    runs = [
        trace_from_lines(baton("solve", PROBLEM.question, "--json", *models).stdout.splitlines())
        for models in (DEMO, ("--small", str(small), "--large", str(large)))
    ]
    by_name, by_path = (run.started for run in runs)
    assert by_name
    assert by_path
    assert by_path.settings == by_name.settings
    assert runs[0].large_share == runs[1].large_share


def test_json_is_an_event_a_line_and_the_whole_trace_in_the_last(baton):
    done = baton("solve", PROBLEM.question, "--json")
    *events, last = map(json.loads, done.stdout.splitlines())
    assert events[0]["event"] == "run_started"
    assert events[-1]["event"] == "run_ended"
    assert last["event"] == "trace"
    rebuilt = trace_from_lines(done.stdout.splitlines())
    assert rebuilt.answer.strip() == last["answer"].strip()
    assert rebuilt.large_share == pytest.approx(last["large_share"])


def test_what_was_chosen_for_a_model_holds_here_too_unless_an_option_says_otherwise(tmp_path, baton):
    chosen = ModelPreferences().with_loading(SMALL_MODEL, LoadOptions(context=700))
    chosen = chosen.with_overrides(SMALL_MODEL, ModelOverrides(temperature=0.25))
    paths = {"XDG_CONFIG_HOME": str(tmp_path)}
    save_preferences(chosen, tmp_path / "baton" / "models.json")

    def small_card(*options: str) -> ModelCard:
        done = baton("solve", PROBLEM.question, "--json", "--max-tokens", "2", *options, **paths)
        trace = trace_from_lines(done.stdout.splitlines())
        assert trace.started is not None
        assert trace.started.small is not None
        return trace.started.small

    assert (small_card().context, small_card().overrides.temperature) == (700, 0.25)
    assert small_card("--context", "600").context == 600


def test_the_same_seed_gives_the_same_text(baton):
    first, again = (baton("solve", PROBLEM.question, "--json", "--seed", "5").stdout.splitlines()[-1] for _ in "ab")
    assert [piece["text"] for piece in json.loads(first)["pieces"]] == [
        piece["text"] for piece in json.loads(again)["pieces"]
    ]


def test_small_only_needs_no_large_model(baton):
    models = ("--small", str(SMALL_MODEL), "--large", "nothing.gguf")
    done = baton("solve", PROBLEM.question, "--policy", "never", "--steps", *models)
    assert done.returncode == 0, done.stderr
    assert "◆" not in done.stdout


def test_a_problem_that_the_context_cannot_hold_is_said_to_be_too_long(baton):
    done = baton("solve", "word " * 3000, *DEMO)
    assert (done.returncode, "prompt" in done.stderr) == (3, True)


@pytest.mark.real_models
@pytest.mark.long
def test_control_c_keeps_what_is_there_and_has_an_exit_code_of_its_own(smollm2):
    command = [sys.executable, "-m", "baton_reasoning", "solve", "Tell a story without end.", "--small", str(smollm2)]
    process = subprocess.Popen([*command, "--policy", "never", "--json"], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(json.loads(line))
        if len(lines) == 5:
            process.send_signal(signal.SIGINT)
    assert process.wait(timeout=PATIENCE) == 130
    assert lines[-1]["finish"] == "stopped"
    assert lines[-1]["tokens"] > 0
    process.stdout.close()


def test_both_files_may_be_the_same_model(tmp_path, baton):
    done = baton("solve", PROBLEM.question, "--small", str(LARGE_MODEL), "--large", str(LARGE_MODEL), *EVERY, "--json")
    handoffs = [e["handoff"] for e in map(json.loads, done.stdout.splitlines()) if e["event"] == "handed_over"]
    assert {passing for _, _, _, passing in handoffs} == {"ids"}


def test_a_cue_list_of_ones_own_decides_where_the_large_model_writes(tmp_path, baton):
    cues = tmp_path / "cues.json"
    cues.write_text('{"reflection": {"step 5": []}, "affirmation": {}, "verification": {}}', encoding="utf-8")
    done = baton("solve", PROBLEM.question, "--steps", "--cues", str(cues))
    assert "◆ With this number we can go on to step 5: " in done.stdout, done.stderr
    cues.write_text("wait, hold on", encoding="utf-8")
    refused = baton("solve", PROBLEM.question, "--cues", str(cues))
    assert (refused.returncode, "cue list cannot be read" in refused.stderr) == (2, True)


@pytest.mark.parametrize("command", [["solve", "World 1"], ["batch", "run", str(BATCH_PROBLEMS), "--limit", "1"]])
def test_a_policy_that_a_server_cannot_serve_is_refused_with_what_would_help(command, tmp_path, capsys):
    out = ["--out", str(tmp_path / "out")] if command[0] == "batch" else []
    with world_server(Author.LARGE, World, tagged=False) as server:
        options = ["--small", str(SMALL_MODEL), "--large", server.url, "--policy", "drafted", "--context", "1024"]
        assert main([*command, *options, "--no-history", *out]) == 2
    said = capsys.readouterr().err
    assert "cannot draft for" in said
    assert "a llama-server with a draft model" in said
    assert not server.completions
