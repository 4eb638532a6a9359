"""`baton solve` and `baton demo` as a person or a program calls them, on the demo pair."""

import io
import json
import re
import sys

import pytest

from baton_reasoning.app.terminal.solve import WAYS_ON
from baton_reasoning.core.demo_pair import LARGE_MODEL, READY_PROBLEMS, SMALL_MODEL, WHAT_IT_SOLVES, DemoProblem, costly
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.models.overrides import ModelOverrides
from baton_reasoning.core.models.preferences import ModelPreferences, save_preferences
from baton_reasoning.core.thinking.events import HandedOver
from baton_reasoning.core.thinking.trace_json import trace_from_lines
from tests.app.terminal.conftest import DEMO, DEMO_MARKS, EXCHANGED, demo_marks, program_of
from tests.fakes.faulty_server import FaultyServer, error, stream
from tests.systems import user_in

pytestmark = pytest.mark.slow

PROBLEM = DemoProblem(60_836)


@pytest.fixture
def traced(baton):
    """Solves the problem, and returns the trace that --json prints."""

    def traced(*options, **environment):
        return trace_from_lines(baton("solve", PROBLEM.question, "--json", *options, **environment).stdout.splitlines())

    return traced


def test_a_pipe_gets_the_answer_alone_or_steps_signed_by_their_author(baton):
    done = baton("solve", PROBLEM.question)
    assert done.stdout == f"The number after all steps is \\boxed{{{PROBLEM.answer}}}.\n"
    assert "large share" in done.stderr
    quiet = baton("solve", PROBLEM.question, "-q", "--steps")
    assert (quiet.returncode, quiet.stderr) == (0, "")
    lines = quiet.stdout.splitlines()
    assert lines[0].startswith("● Step 1: 60836 is even, half of it is 30418.")
    assert any(line.startswith("◆ ") for line in lines)
    assert f"\\boxed{{{PROBLEM.answer}}}" in quiet.stdout
    assert "</think>" not in quiet.stdout


def test_a_text_that_ends_before_its_answer_or_does_not_fit_is_said_to(refused):
    ended = "baton: The text ended before an answer; --steps prints what there is."
    assert refused("solve", PROBLEM.question, "-q", "-n", "5", code=3) == ended
    assert "prompt" in refused("solve", "word " * 3000, *EXCHANGED, code=3)


def test_json_is_an_event_a_line_and_the_whole_trace_in_the_last_and_a_seed_repeats_it(say):
    solve = ("solve", PROBLEM.question, "--json", "--seed", "5")
    lines = say(*solve)
    *events, last = map(json.loads, lines)
    assert (events[0]["event"], events[-1]["event"], last["event"]) == ("run_started", "run_ended", "trace")
    rebuilt = trace_from_lines(lines)
    assert rebuilt.answer.strip() == last["answer"].strip()
    assert rebuilt.large_share == pytest.approx(last["large_share"])
    assert trace_from_lines(say(*solve)).text == rebuilt.text


def test_what_is_piped_in_is_the_problem_or_comes_before_it(tmp_path, baton, monkeypatch):
    file = tmp_path / "piped.txt"

    def problem(*arguments):
        with file.open(encoding="utf-8") as stream, monkeypatch.context() as patch:
            patch.setattr(sys, "stdin", stream)
            first = baton("solve", *arguments, *EXCHANGED, "--json", "-n", "1").stdout.splitlines()[0]
        return json.loads(first)["conversation"][0]["content"].partition("\nPlease reason")[0]

    file.write_text("Two and two\nare five.\n", encoding="utf-8")
    assert problem() == problem("-") == "Two and two\nare five."
    assert problem("Is this right?") == "Two and two\nare five.\n\nIs this right?"
    file.write_text("Two and two", encoding="utf-8-sig")
    assert problem() == "Two and two", "a byte order mark is no part of it"
    file.write_text("", encoding="utf-8")
    assert problem("What is 2 + 2?") == "What is 2 + 2?"


def test_the_demo_pair_answers_its_own_puzzles_and_nothing_else(baton, refused, monkeypatch):
    longer = PROBLEM.question.replace("8 steps", "9 steps")
    for asked in (("What is 2 + 2?", "-q", "--json"), ("What is 2 + 2?", *DEMO), (longer, *DEMO)):
        sentence = refused("solve", *asked)
        assert sentence.endswith(f"{WHAT_IT_SOLVES} {WAYS_ON}")
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PROBLEM.question}\n"))
    asked = baton("solve", "-")
    assert asked.returncode == 0, "a puzzle of its own needs no names"
    assert "No models are named, so the demo pair runs" in asked.stderr
    refused("solve", "What is 2 + 2?", BATON_SMALL="demo", BATON_LARGE="demo")


def test_drafts_are_turned_on_for_one_run_and_both_files_may_be_the_same_model(traced):
    assert traced("--drafts", "on").totals[Author.LARGE].drafts > 0
    models = ("-md", str(LARGE_MODEL), "-m", str(LARGE_MODEL))
    trace = traced(*models, *"--policy every-step -c 900 -t 1 -s 3 -n 40".split())
    assert {event.handoff.passing.value for event in trace.events if isinstance(event, HandedOver)} == {"ids"}
    assert (trace.started.small.name, trace.started.small.context) == ("Baton demo large", 900)
    assert trace.started.settings["seed"] == 3


def test_small_only_needs_no_large_model(say):
    models = ("--small", str(SMALL_MODEL), "--large", "nothing.gguf")
    steps = say("solve", PROBLEM.question, "--policy", "never", "--steps", *models)
    assert not any(step.startswith("◆") for step in steps)


def test_what_a_pair_costs_is_measured_once_and_predicted_from_then_on(user, baton):
    solve = ("solve", PROBLEM.question, "--policy", "every-step")
    first = baton(*solve).stderr
    measured = user.model_costs.read_bytes()
    second = baton(*solve).stderr
    assert ("Large alone about " in first, "Large alone about " in second) == (False, True)
    assert re.search("; (the large model )?alone (would have taken )?about ", first), "whether it paid or not"
    assert user.model_costs.read_bytes() == measured
    assert "Large alone" not in baton(*solve, "--json").stderr


def test_where_the_large_model_wrote_nearly_everything_that_is_said_with_what_to_change(baton):
    told = baton("solve", PROBLEM.question, "--policy", "every-step", "--set", "opening=2000").stderr
    assert "The large model wrote nearly everything (100%). To let it write less, choose the policy" in told
    assert "The large model wrote" not in baton("solve", PROBLEM.question, "--policy", "always").stderr, "as was wanted"


@pytest.mark.real_models
def test_the_policy_follows_the_pair_and_is_said_and_recorded_as_what_it_was(baton, smollm2, gemma):
    ordinary = ("--small", str(smollm2), "--large", str(gemma), "--context", "256", "-n", "3")
    cases = {(): "token-entropy", ("--policy", "keywords"): "keywords", ("--preset", "paper"): "keywords"}
    for given, policy in cases.items():
        done = baton("solve", "What is 2 + 2?", *ordinary, *given, "--json")
        assert json.loads(done.stdout.splitlines()[0])["policy"] == policy
        assert done.stderr.count("was not trained to reason: Baton hands over where it is unsure.") == (not given)
    demo = baton("solve", PROBLEM.question, *DEMO, "--policy", "automatic", "-n", "3", "--json")
    assert json.loads(demo.stdout.splitlines()[0])["policy"] == "keywords"
    assert "trained to reason" not in demo.stderr


def test_what_was_chosen_for_a_model_holds_here_too_unless_an_option_says_otherwise(user, traced):
    chosen = ModelPreferences().with_loading(SMALL_MODEL, LoadOptions(context=700))
    chosen = chosen.with_overrides(SMALL_MODEL, ModelOverrides(temperature=0.25))
    save_preferences(chosen, user.model_preferences)

    def small_card(*options):
        return traced("--max-tokens", "2", *options).started.small

    assert (small_card().context, small_card().overrides.temperature) == (700, 0.25)
    assert small_card("--context", "600").context == 600


def test_a_cue_list_of_ones_own_decides_where_the_large_model_writes(tmp_path, say):
    cues = tmp_path / "cues.json"
    cues.write_text('{"reflection": {"step 5": []}, "affirmation": {}, "verification": {}}', encoding="utf-8")
    steps = say("solve", PROBLEM.question, "--steps", "--cues", str(cues))
    assert any(step.startswith("◆ With this number we can go on to step 5: ") for step in steps)


@pytest.mark.parametrize("command", [["solve", "1 + 1?"], ["batch", "run", "problems.jsonl", "--out", "out"]])
def test_a_policy_that_a_server_cannot_serve_is_refused_with_what_would_help(command, tmp_path, refused, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "problems.jsonl").write_text('{"problem": "1 + 1?", "answer": "2"}', encoding="utf-8")
    with FaultyServer(stream()) as server:
        options = ["--small", str(SMALL_MODEL), "--large", server.url, "--policy", "drafted", "--context", "1024"]
        sentence = refused(*command, *options, "--no-history")
    assert "cannot draft for" in sentence
    assert "a llama-server with a draft model" in sentence
    assert not server.completions


def test_an_error_of_a_server_is_said(baton):
    with FaultyServer(error(400, "\x1b]52;the context is full")) as server:
        done = baton("solve", "x", "--large", server.url, "--small", server.url)
    assert (done.returncode, done.stdout) == (1, "")
    assert "]52;the context is full" in done.stderr
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize("output", [[], ["--steps"], ["--json"]])
def test_a_large_model_that_is_lost_is_said_on_standard_error_wherever_the_answer_goes(baton, output):
    with FaultyServer(error(400, "no more")) as server:
        models = ["--small", str(SMALL_MODEL), "--large", server.url, "--policy", "every-step", "--context", "1024"]
        done = baton("solve", PROBLEM.question, *models, "--no-history", "-q", "-n", "40", *output)
    (line,) = [line for line in done.stderr.splitlines() if "no more" in line]
    assert line.endswith("The small model goes on alone.")
    assert done.returncode == 3


# The demo -------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.platform != "linux", reason="other systems always have a display")
def test_the_window_without_a_display_is_the_demo_in_the_terminal():
    done = program_of("-m", "baton_reasoning.app", DISPLAY=":97", WAYLAND_DISPLAY="", QT_QPA_PLATFORM="")
    assert "Here is the demo in the terminal instead" in done.stdout
    assert (done.returncode, demo_marks(done.stdout)) == (0, DEMO_MARKS), done.stderr
    headings = [line.split(" ─")[0] for line in done.stdout.splitlines() if line.startswith("──")]
    assert headings == ["── Small alone", "── Both", "── Large alone", "── The answer is 12085"]


def test_the_demo_makes_its_files_once_for_answers_that_are_waited_for(tmp_path, baton, say, monkeypatch):
    """And without room it runs on its tiny models."""
    monkeypatch.delenv(costly.SWITCH)
    monkeypatch.setattr(costly, "RATIO", 2)
    monkeypatch.setattr(costly, "BLOCK", costly.Shape(feed_forward=256))
    user_in(tmp_path, monkeypatch)
    few = ("--limit", "1", "--arm", "small", "--context", "1024", "--out", str(tmp_path / "out"))
    say("batch", "run", str(READY_PROBLEMS), *DEMO, *few)
    assert list(tmp_path.rglob("*.gguf")) == [], "a batch runs on the tiny models"
    first = baton("demo")
    assert (first.returncode, costly.MAKING in first.stderr) == (0, True), first.stderr
    again = baton("solve", PROBLEM.question, "--context", "1024")
    assert (again.returncode, costly.MAKING in again.stderr) == (0, False), again.stderr
    assert len(list(tmp_path.rglob("*.gguf"))) == 2
    taken = user_in(tmp_path / "taken", monkeypatch).cache
    taken.parent.mkdir(parents=True)
    taken.write_text("a file, where a folder should be", encoding="utf-8")
    done = baton("demo")
    assert done.returncode == 0, done.stderr
    assert "The demo runs on its tiny models, which are equally fast" in done.stderr
