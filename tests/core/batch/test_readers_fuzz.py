"""Whatever a file holds, it is read or refused in a sentence: hypothesis looks for a third way."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baton_reasoning.core.batch.reading.formats import READERS
from baton_reasoning.core.batch.reading.multiple_choice import Options
from baton_reasoning.core.batch.reading.problems import read_problems
from baton_reasoning.core.errors import ProblemFileError
from tests.tiers import size

NAMES = st.sampled_from(
    "problem question prompt messages conversations answer target solution choices options body reward_model "
    "ground_truth A B choice1 choice2 id label text role content from value type stem test train x.y".split(" ")
)
WORDS = st.sampled_from(["user", "assistant", "human", "gpt", "image_url", "A", "1", "A) red B) green", "['a', 'b']"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | WORDS | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
IN_ONE_FOLDER = settings(max_examples=size(40, long=1_000), suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.slow
@IN_ONE_FOLDER
@given(st.lists(st.dictionaries(NAMES, VALUES, max_size=6), min_size=1, max_size=4))
def test_any_records_are_read_or_refused(tmp_path: Path, records: list[dict[str, object]]) -> None:
    (tmp_path / "p.jsonl").write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    (tmp_path / "p.json").write_text(json.dumps({"data": records}), encoding="utf-8")
    for path in tmp_path.glob("p.*"):
        with contextlib.suppress(ProblemFileError):
            found = read_problems(path)
            assert found.summary()
            for problem in found.problems:
                assert problem.text.strip()
                problem.text.encode()


@pytest.mark.slow
@pytest.mark.parametrize("ending", READERS)
@IN_ONE_FOLDER
@given(st.binary(max_size=300) | st.text(alphabet='|-#\n\t ,;"`Answer:12*', max_size=120).map(str.encode))
def test_any_bytes_are_read_or_refused(tmp_path: Path, ending: str, data: bytes) -> None:
    path = tmp_path / f"p{ending}"
    path.write_bytes(data)
    with contextlib.suppress(ProblemFileError):
        read_problems(path)


@given(VALUES, VALUES)
def test_any_value_is_options_or_none(value: object, answer: object) -> None:
    options = Options.from_value(value)  # type: ignore[arg-type]
    if options:
        assert options.written_below("Which?").startswith("Which?\n\nA) ")
        letter = options.letter_of(answer)  # type: ignore[arg-type]
        assert letter is None or len(letter) == 1
