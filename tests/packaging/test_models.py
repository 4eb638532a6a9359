"""The models that are made and fetched here: what the demo pair learns, and how a real pair's parts are joined."""

import hashlib
import random
import re
import zipfile
from collections.abc import Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import BinaryIO

import pytest

import real_pair
from baton_reasoning.core.demo_pair import LARGE_MODEL, SMALL_MODEL
from baton_reasoning.core.demo_pair.task import STEPS, DemoProblem, DemoStep
from baton_reasoning.core.thinking.cues import Category, english
from demo_pair.parity import tokens_and_logits
from demo_pair.tokenizer import BEGIN, BOUNDARY, HOW, PHRASES, TOKENS, decode, encode
from demo_pair.traces import (
    ANSWER,
    AUXILIARY,
    CLOSING,
    COPY_DISTANCE,
    NEXT_LINE,
    READ_ONLY,
    SECOND_LOOKS,
    Span,
    drill,
    trace,
)
from real_pair import FetchError, SplitModel, add_part, fetch

# The traces that the demo pair learns from ----------------------------------------------------------------------------

LINE = re.compile(r"tep \d: (\d{5})( is odd, times 7 plus 1 is | is even, half of it is )(\d{5})\.")
LONGEST_SHOWN = 32
"""Bytes; llama-cpp-python gives back nothing for a longer token."""
UNUSUAL = "Anything else, héhé €.\n\n\n1234 step 13 of 7: the number"


def text_of(spans: list[Span]) -> str:
    return "".join(span.text for span in spans)


def text_of_seed(seed: int) -> str:
    return text_of(trace(random.Random(seed)))


def right_value(number: str, how: str) -> str:
    step = DemoStep(3, int(number))
    assert step.how == how
    return f"{step.value:05}"


def test_what_is_learned_is_right_and_slips_are_only_read_and_put_right():
    slips = 0
    for seed in range(200):
        spans = trace(random.Random(seed))
        text = text_of(spans)
        starts = accumulate((len(span.text) for span in spans), initial=0)
        weights = {start: span.weight for start, span in zip(starts, spans, strict=False)}
        lines = list(LINE.finditer(text))
        for line, following in pairwise(lines):
            if line[3] != right_value(line[1], line[2]):
                slips += 1
                assert weights[line.start(3)] == READ_ONLY
                assert following.group(1, 2) == line.group(1, 2)
        assert lines[-1][3] == right_value(lines[-1][1], lines[-1][2])
        problem = DemoProblem(int(re.findall(r"Starting from (\d{5}),", text)[0]))
        assert not problem.held_out
        assert text.startswith(f"{BEGIN}<|user|>If a number is even"), "as the chat template begins"
        assert f"{CLOSING}{problem.answer}.\n</think>" in text
        assert text.endswith(f"\\boxed{{{problem.answer}}}.<|end|>")
    assert slips > 100


def test_each_digit_that_is_copied_stands_at_one_distance():
    """The number of a line, from the line before or the question, a line that is looked at again, and the answer."""
    for seed in range(200):
        tokens = [decode([id]) for id in encode(text_of_seed(seed))]
        copied: list[int] = []
        for place in range(tokens.index("<think>"), len(tokens)):
            if tokens[place] in HOW:
                copied += range(place - 5, place)
            elif tokens[place] == " \\boxed{" or tokens[place - 1 : place + 1] == [" is", " "]:
                copied += range(place + 1, place + 6)
        assert len(copied) >= 5 * STEPS + 10
        # The digit that comes next is COPY_DISTANCE back from the token that is read last.
        assert all(tokens[place] == tokens[place - 1 - COPY_DISTANCE] for place in copied)


def test_only_second_looks_and_the_end_have_cues():
    assert {english().sign(opening) for opening in (*SECOND_LOOKS, AUXILIARY)} == {Category.REFLECTION}
    assert not english().find(NEXT_LINE)
    assert {cue.category for cue in english().find(CLOSING)} == {Category.AFFIRMATION}
    assert {cue.category for cue in english().find(ANSWER)} <= {Category.AFFIRMATION}


def test_a_drill_teaches_values_only_and_right_ones():
    spans = drill(random.Random(0), count=300, zeros=0.4)
    learned = [span.text for span in spans if span.weight]
    assert learned == [right_value(line[1], line[2]) for line in LINE.finditer(text_of(spans))]
    assert len(learned) == 300


@pytest.mark.parametrize("text", [text_of_seed(0), text_of_seed(1) + AUXILIARY, UNUSUAL, ""], ids=len)
def test_a_text_survives_its_tokens_and_llama_cpp_cuts_it_into_the_same(text):
    assert decode(encode(text)) == text
    for model in (SMALL_MODEL, LARGE_MODEL) if text else ():
        assert tokens_and_logits(model, text)[0] == encode(text)


def test_every_token_is_one_of_its_kind_short_enough_to_be_shown_and_used():
    assert len(set(TOKENS)) == len(TOKENS)
    assert max(len(phrase.encode()) for phrase in PHRASES) <= LONGEST_SHOWN
    used = {id for seed in range(500) for id in encode(text_of_seed(seed))}
    assert [phrase for phrase in PHRASES if encode(phrase)[0] not in used] == []
    assert [len(encode(text)) for text in ("84900", BOUNDARY, "<|user|>")] == [5, 1, 1]


# A real pair: packages made here, fetched by the real pip from a folder in place of an index --------------------------

PARTS = (b"GGUF" * 16, b"rest" * 16, b"end")
WHOLE = b"".join(PARTS)
LARGER = b"GGUF of one part, larger than those of the small model" * 2


@pytest.fixture
def index(tmp_path, monkeypatch):
    """The folder in which pip finds the packages."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    for number, part in enumerate(PARTS, 1):
        publish(folder, number, part)
    publish(folder, 1, LARGER, "larger_model")
    return folder


@pytest.fixture
def model(tmp_path):
    return split(tmp_path / "models" / "model.gguf", "a-model-part{}==1.0", PARTS)


@pytest.fixture
def larger(tmp_path):
    return split(tmp_path / "models" / "larger.gguf", "larger-model-part{}==1.0", [LARGER])


def split(target: Path, package: str, parts: Sequence[bytes]) -> SplitModel:
    whole = b"".join(parts)
    return SplitModel(target, package, len(parts[0]), len(whole), len(whole), hashlib.sha256(whole).hexdigest())


def publish(folder: Path, number: int, part: bytes, model: str = "a_model") -> Path:
    name = f"{model}_part{number}"
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{name}/data/part{number:02}.bin", part)
        wheel.writestr(f"{name}-1.0.dist-info/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(f"{name}-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    return path


@pytest.mark.slow
def test_an_interrupted_call_goes_on_from_its_last_whole_part_and_the_last_one_finds_both_models(
    index, model, larger, monkeypatch, capsys
):
    monkeypatch.setattr(real_pair, "REAL_PAIR", (model, larger))
    (index / "a_model_part2-1.0-py3-none-any.whl").unlink()
    assert real_pair.main() == 1
    assert "a-model-part2==1.0 was not fetched" in capsys.readouterr().err
    assert [*model.target.parent.iterdir()] == [model.unfinished], "the larger model has to wait"
    (index / "a_model_part1-1.0-py3-none-any.whl").unlink()  # and is not asked for again
    publish(index, 2, PARTS[1])
    with monkeypatch.context() as patch:
        patch.setattr(real_pair, "add_part", interrupted_in_the_last_part)
        assert real_pair.main() == 130
    assert "Interrupted after 2 of 3 packages" in capsys.readouterr().err
    (index / "a_model_part2-1.0-py3-none-any.whl").unlink()
    assert real_pair.main() == 0
    assert (model.target.read_bytes(), larger.target.read_bytes()) == (WHOLE, LARGER)
    assert {*model.target.parent.iterdir()} == {model.target, larger.target}
    monkeypatch.setattr(real_pair, "fetch", lambda _: pytest.fail("it was fetched again"))
    assert real_pair.main() == 0


def interrupted_in_the_last_part(model: SplitModel, number: int, file: BinaryIO) -> None:
    if number == 2:
        file.write(PARTS[2][:2])
        raise KeyboardInterrupt
    add_part(model, number, file)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "sentence"), [(b"REST" * 16, "size or hash differ"), (b"rest", "the size"), (b"", "damaged")]
)
def test_a_part_that_is_another_or_broken_is_no_model(index, model, part, sentence):
    path = publish(index, 2, part or PARTS[1])
    if not part:
        path.write_bytes(path.read_bytes().replace(PARTS[1], b"x" * len(PARTS[1])))
    with pytest.raises(FetchError, match=sentence):
        fetch(model)
    assert not model.target.exists()
    publish(index, 2, PARTS[1])
    fetch(model)
    assert model.target.read_bytes() == WHOLE


@pytest.mark.slow
def test_without_a_network_room_or_folder_one_sentence_says_so(model, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/")
    with pytest.raises(FetchError, match="cannot be reached"):
        fetch(model)
    huge = SplitModel(tmp_path / "model.gguf", "a-model-part{}==1.0", 10**18, 10**18, 10**18, "")
    with pytest.raises(FetchError, match="Make room"):
        fetch(huge)
    assert not huge.unfinished.exists()
    (tmp_path / "file").write_text("where a folder should be")
    assert real_pair.provide(split(tmp_path / "file" / "model.gguf", "a-model-part{}==1.0", PARTS)) == 1
    assert f"{tmp_path / 'file'} cannot be used: " in capsys.readouterr().err
