"""What the measurements rest on, and that the tables of the documentation are what the command beside them prints."""

import re
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest

from baton_reasoning.core.demo_pair import LARGE_MODEL, held_out_problems
from baton_reasoning.core.demo_pair.costly import Shape, costly
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.load_options import LoadOptions
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.thinking.trace import Trace
from tests.bench.coverage import SETTINGS, simulate
from tests.bench.grading import figures_of
from tests.bench.table import HEAD, Row, at_least, write
from tests.core.grading.labelled_set import PROSE, graded_by_baton, read_cases

CHOSEN = RunSettings(policy="always", seed=3, max_tokens=80)


def texts(model: Path) -> list[str]:
    with closing(LocalEngine(model, LoadOptions(context=512))) as engine:
        questions = [ask(problem.question, CHOSEN) for problem in islice(held_out_problems(seed=5), 2)]
        return [Trace.of(run(Pair(None, engine), question, CHOSEN)).text for question in questions]


@pytest.mark.slow
def test_a_larger_shape_keeps_the_text(tmp_path):
    large = costly(LARGE_MODEL, tmp_path / "costly.gguf", Shape(embedding=128, feed_forward=512, blocks=5)).make()
    assert read_header(large).parameters > 5 * read_header(LARGE_MODEL).parameters
    assert texts(large) == texts(LARGE_MODEL)


def test_only_the_figures_that_were_measured_are_replaced(tmp_path):
    page = tmp_path / "speed.md"
    before = ["# Speed", *HEAD, "| P1 | old | | 1 |", "| P3 | kept | | 3 |", "", "The end.\n"]
    page.write_text("\n".join(before), encoding="utf-8")
    write([at_least("P1", "new", 0.97, [0.9, 0.95, 1.0]), Row("P2", "first", "", "2")], page)
    assert page.read_text(encoding="utf-8").split("\n") == [
        "# Speed",
        *HEAD,
        "| P1 | new | ≥ 0.97 | 0.950 (0.900–1.000); **missed** |",
        "| P2 | first |  | 2 |",
        "| P3 | kept | | 3 |",
        "",
        "The end.",
        "",
    ]


DOCS = Path(__file__).parents[2] / "docs"
BATCH = (DOCS / "batch.md").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.parametrize("setting", SETTINGS[2:4], ids=lambda setting: setting.title)
def test_the_intervals_hold_the_true_value_as_often_as_the_page_says(setting):
    least, most = map(float, re.findall(r"at\s(?:least|most)\s([\d.]+)%", BATCH.partition("simulated batches")[2]))
    found = simulate(setting)
    assert round(min(found.accuracy, found.difference), 1) >= least
    assert setting.gain or round(found.rejected, 1) <= most


@pytest.mark.long
@pytest.mark.parametrize("part", PROSE)
def test_the_grader_errs_no_more_than_the_page_says(part):
    right, wrong, unscored = map(float, re.findall(r"([\d.]+)%", BATCH.partition("the grader calls")[2])[:3])
    found = figures_of(graded_by_baton(read_cases(part)))
    assert round(100 * found.false_right, 1) <= right
    assert round(100 * found.false_wrong, 1) <= wrong
    assert round(100 * found.unscored) <= unscored
