"""The authors' schedule, from the command line to the wire: `baton solve` and `baton batch` against scripted servers.

The same random worlds and the same oracle as in tests/core/thinking/oracles: decisions, counters and text are equal.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from baton_reasoning.app.cli import main
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.thinking.events import CountersChanged
from baton_reasoning.core.thinking.trace_json import trace_from_lines
from tests.core.thinking.oracles.test_authors import (
    LENGTHS,
    WORLDS,
    Decision,
    Schedule,
    authors_by_character,
    decisions,
)
from tests.fakes.world_server import problem_of, world_server
from tests.tiers import size

LENGTHS_BY_OPTION = [
    option
    for name, value in LENGTHS._asdict().items()
    if name not in ("not_reasoning", "auxiliary_prompt", "opening", "as_in_paper")
    for option in ("--set", f"{name}={value}")
]
METHOD = ["--policy", "keywords", "--preset", "reference", *LENGTHS_BY_OPTION, "-n", "100000", "--no-history"]
SOLVED = WORLDS[: size(4, long=24)]
IN_BATCHES = WORLDS[len(SOLVED) :][: size(6, long=36)]


pytestmark = [pytest.mark.slow, pytest.mark.scaled]


@contextmanager
def servers(*, tagged: bool) -> Iterator[list[str]]:
    """Options that name both models."""
    by_seed = {world.seed: world for world in WORLDS}
    with ExitStack() as stack:
        options: list[str] = []
        for author in (Author.SMALL, Author.LARGE):
            server = stack.enter_context(world_server(author, by_seed.__getitem__, tagged=tagged))
            options += [f"--{author.value}", server.url]
        yield options


@pytest.mark.parametrize("tagged", [False, True], ids=["plain", "thinking"])
def test_solve_takes_the_authors_decisions(tagged, capsys):
    with servers(tagged=tagged) as models:
        for world in (world for world in SOLVED if world.tagged is tagged):
            assert main(["solve", problem_of(world), *METHOD, *models, "--json"]) == 0, capsys.readouterr().err
            trace = trace_from_lines(capsys.readouterr().out.splitlines())
            expected = Schedule(world, LENGTHS).run()
            counts = [int(each.counters["reflections"]) for each in trace.events if isinstance(each, CountersChanged)]
            assert decisions(trace.events) == expected.decisions, world
            assert trace.text == expected.text, world
            assert counts == expected.negative_sentences, world
            spans = [(piece.author, piece.text) for piece in trace.pieces]
            assert authors_by_character(spans) == authors_by_character(expected.spans), world


@pytest.mark.parametrize("tagged", [False, True], ids=["plain", "thinking"])
def test_a_batch_takes_the_authors_decisions_in_each_of_its_texts(tagged, tmp_path):
    worlds = [world for world in IN_BATCHES if world.tagged is tagged]
    problems = tmp_path / "worlds.jsonl"
    problems.write_text("".join(json.dumps({"problem": problem_of(world)}) + "\n" for world in worlds), "utf-8")
    out = tmp_path / "out"
    with servers(tagged=tagged) as models:
        options = ["--grade", "none", "--parallel", "1", "--out", str(out), *METHOD, *models]
        assert main(["batch", "run", str(problems), *options]) == 0
    lines = [json.loads(line) for line in (out / "results.jsonl").read_text("utf-8").splitlines()]
    assert len(lines) == len(worlds) == len(IN_BATCHES) // 2
    for world, line in zip(worlds, lines, strict=True):
        expected = Schedule(world, LENGTHS).run()
        assert line["text"] == expected.text, world
        spans = [(Author(span["author"]), line["text"][span["start"] : span["end"]]) for span in line["spans"]]
        assert authors_by_character(spans) == authors_by_character(expected.spans), world
        assert {Decision(span["reason"], span["start"]) for span in line["spans"] if span["reason"]} >= {
            decision for decision in expected.decisions if _left_text(decision, expected)
        }, world


def _left_text(decision: Decision, schedule: Schedule) -> bool:
    """Whether the large model wrote anything there: a span without text is none."""
    position = 0
    for author, text in schedule.spans:
        if position == decision.position and author is Author.LARGE:
            return True
        position += len(text)
    return False
