"""What the measurements rest on: generated models keep their text, and a table keeps what was not measured again."""

from contextlib import closing
from itertools import islice
from pathlib import Path

from baton_reasoning.core.demo_pair import LARGE_MODEL, held_out_problems
from baton_reasoning.core.demo_pair.costly import Shape, costly
from baton_reasoning.core.engines.local.client import LocalEngine
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.loading import LoadOptions
from baton_reasoning.core.run import Pair, RunSettings, ask, run
from baton_reasoning.core.thinking.trace import Trace
from tests.bench.rounds import Row, at_least
from tests.bench.table import HEAD, write

SETTINGS = RunSettings(policy="always", seed=3, max_tokens=80)


def texts(model: Path) -> list[str]:
    with closing(LocalEngine(model, LoadOptions(context=512))) as engine:
        questions = [ask(problem.question, SETTINGS) for problem in islice(held_out_problems(seed=5), 2)]
        return [Trace.of(run(Pair(None, engine), question, SETTINGS)).text for question in questions]


def test_a_larger_shape_keeps_the_text(tmp_path: Path) -> None:
    large = costly(LARGE_MODEL, tmp_path / "costly.gguf", Shape(embedding=128, feed_forward=512, more_blocks=2))
    assert read_header(large).parameters > 5 * read_header(LARGE_MODEL).parameters
    assert texts(large) == texts(LARGE_MODEL)


def test_only_the_figures_that_were_measured_are_replaced(tmp_path: Path) -> None:
    page = tmp_path / "speed.md"
    page.write_text("\n".join(["# Speed", *HEAD, "| P1 | old | | 1 |", "| P3 | kept | | 3 |", "", "The end.\n"]))
    write([at_least("P1", "new", 0.97, [0.9, 0.95, 1.0]), Row("P2", "first", "", "2")], page)
    assert page.read_text().split("\n") == [
        "# Speed",
        *HEAD,
        "| P1 | new | ≥ 0.97 | 0.950 (0.900–1.000); **missed** |",
        "| P2 | first |  | 2 |",
        "| P3 | kept | | 3 |",
        "",
        "The end.",
        "",
    ]
