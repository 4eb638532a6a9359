"""However a header is damaged, it is read or refused with ModelFileError; nothing else, and in little memory."""

import random
import struct
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baton_reasoning.core.errors import ModelFileError
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.loading import LoadOptions
from baton_reasoning.core.models.memory import estimate
from tests.core.models.gguf_builder import gguf_bytes, values_of_a_llama
from tests.tiers import size

DAMAGED_HEADERS = size(300, long=2_000)
MEMORY_LIMIT = 16 * 2**20

EXTREMES = (0, 1, 2**7, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)


def damaged(whole: bytes, chance: random.Random) -> bytes:
    """One to four changes of the kinds that broken disks, downloads and hostile people make."""
    content = bytearray(whole)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(content)) if content else 0
        match chance.randrange(6):
            case 0:
                content[place : place + 1] = bytes([chance.randrange(256)])
            case 1:
                content[place : place + 8] = struct.pack("<Q", chance.choice(EXTREMES))
            case 2:
                content[place : place + 4] = struct.pack("<I", chance.choice(EXTREMES) & 0xFFFFFFFF)
            case 3:
                del content[place : place + chance.randint(1, 40)]
            case 4:
                content[place:place] = chance.randbytes(chance.randint(1, 40))
            case _:
                del content[place:]
    return bytes(content)


@pytest.mark.scaled
def test_damaged_headers_are_read_or_refused_in_little_memory(tmp_path: Path) -> None:
    chance = random.Random(20250412)
    sliding = values_of_a_llama(
        general__architecture="gemma3",
        gemma3__block_count=2,
        gemma3__embedding_length=64,
        gemma3__attention__head_count=4,
        gemma3__attention__sliding_window=16,
        gemma3__attention__sliding_window_pattern=[True, False],
    )
    hybrid = values_of_a_llama(general__architecture="qwen3next", qwen3next__ssm__state_size=8)
    wholes = [gguf_bytes(), gguf_bytes(sliding), gguf_bytes(hybrid)]
    path = tmp_path / "damaged.gguf"
    outcomes = Counter[bool]()
    for number in range(DAMAGED_HEADERS):
        path.unlink(missing_ok=True)  # overwriting would make some file systems flush: ten times slower
        path.write_bytes(damaged(wholes[number % len(wholes)], chance))
        # Watching memory slows everything down, so every tenth file stands for the others.
        with watched_memory() if number % 10 == 0 else nullcontext():
            outcomes[is_readable(path)] += 1
    assert outcomes[False] > DAMAGED_HEADERS // 2
    assert outcomes[True] > DAMAGED_HEADERS // 20


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 2**32), st.binary(max_size=60))
def test_any_damage_is_read_or_refused(tmp_path: Path, seed: int, end: bytes) -> None:
    path = tmp_path / "damaged.gguf"
    path.unlink(missing_ok=True)
    path.write_bytes(damaged(gguf_bytes(), random.Random(seed)) + end)
    is_readable(path)


def is_readable(path: Path) -> bool:
    try:
        header = read_header(path)
    except ModelFileError:
        return False
    return estimate(header, LoadOptions(context=4096)).total_bytes >= header.tensor_bytes


@contextmanager
def watched_memory() -> Iterator[None]:
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < MEMORY_LIMIT
    finally:
        tracemalloc.stop()


def test_a_vocabulary_beyond_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "hostile.gguf"
    key = b"tokenizer.ggml.token_type"
    with path.open("wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQQ", 3, 1, 1, len(key)) + key)
        file.write(struct.pack("<IIQ", 9, 0, 2**33))
        file.truncate(2**34)  # a sparse file: nothing is written
    with watched_memory(), pytest.raises(ModelFileError, match="its header is longer than"):
        read_header(path)


def test_many_arrays_take_no_more_than_their_share_of_memory(tmp_path: Path) -> None:
    path = tmp_path / "hostile.gguf"
    keys = {f"k{number}": [0] * 1024 for number in range(500)}
    path.write_bytes(gguf_bytes(keys | values_of_a_llama()))
    with watched_memory():
        assert is_readable(path)


def test_too_many_keys_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "hostile.gguf"
    path.write_bytes(gguf_bytes({f"k{number}": 0 for number in range(2001)}))
    with pytest.raises(ModelFileError, match="claims 2,001 keys"):
        read_header(path)
