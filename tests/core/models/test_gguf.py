"""Headers are read whole and right, and what cannot be used is refused with a reason, however it is damaged."""

import pickle
import random
import struct
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baton_reasoning.core.errors import ModelFileError
from baton_reasoning.core.models.fit import estimate
from baton_reasoning.core.models.gguf import GgufHeader, read_header
from baton_reasoning.core.models.options import LoadOptions, ThinkingTags
from tests.core.models.gguf_builder import (
    WORDS,
    TensorSpec,
    gguf_bytes,
    tensor_bytes,
    tensors_of_a_llama,
    values_of_a_llama,
    write_gguf,
    write_split_gguf,
)
from tests.tiers import size


def header_with(folder: Path, **changes: Any) -> GgufHeader:
    return read_header(write_gguf(folder / "model.gguf", values_of_a_llama(**changes)))


def refusal(path: Path) -> str:
    with pytest.raises(ModelFileError) as refused:
        read_header(path)
    return str(refused.value)


class TestWhatIsRead:
    def test_the_keys_of_a_model(self, tmp_path):
        header = header_with(tmp_path)
        assert (header.architecture, header.name, header.licence) == ("llama", "Little Llama", "mit")
        assert (header.quantisation, header.context_length, header.block_count) == ("Q8_0", 512, 2)
        assert not header.add_space_prefix
        assert header.supports_truncation

    def test_sizes_are_sums_over_the_tensors(self, tmp_path):
        header = header_with(tmp_path)
        sizes = [tensor_bytes(tensor) for tensor in tensors_of_a_llama()]
        assert header.tensor_bytes == sum(sizes)
        assert [block.tensor_bytes for block in header.blocks] == [sum(sizes[1:5]), sum(sizes[5:9])]
        assert header.token_embedding_bytes == sizes[0]
        assert header.output_is_tied
        assert header.file_bytes == (tmp_path / "model.gguf").stat().st_size

    def test_a_token_reads_the_experts_that_are_used_and_no_embedding_but_its_own(self, tmp_path):
        experts, output = TensorSpec("blk.0.ffn_up_exps.weight", (64, 96, 8)), TensorSpec("output.weight", (64, 64))
        tensors = [*tensors_of_a_llama(), experts, output]
        values = values_of_a_llama(llama__expert_count=8, llama__expert_used_count=2)
        header = read_header(write_gguf(tmp_path / "model.gguf", values, tensors=tensors))
        idle = tensor_bytes(experts) * 6 // 8
        assert header.active_bytes == header.tensor_bytes - idle - header.token_embedding_bytes
        tied = header_with(tmp_path)
        assert tied.active_bytes == tied.tensor_bytes

    def test_head_lengths_follow_from_the_embedding_where_the_file_is_silent(self, tmp_path):
        header = header_with(tmp_path)
        assert [block.cache_elements for block in header.blocks] == [2 * (16 + 16)] * 2
        by_block = header_with(tmp_path, llama__attention__head_count_kv=[4, 0])
        assert [block.cache_elements for block in by_block.blocks] == [4 * 32, 0], "heads may differ by block"

    def test_what_a_file_leaves_out_follows_from_what_it_holds(self, tmp_path):
        header = header_with(tmp_path, general__name=None, general__file_type=None)
        assert header.name == "model", "the file's"
        assert header.quantisation == "Q8_0", "the commonest type of its tensors"
        assert header.vocabulary_size == len(WORDS)
        assert header.parameters == 64 * (len(WORDS) + 1) + 2 * 64 * (64 + 32 + 1 + 96)
        assert header.size_label == "31.2K"

    def test_a_header_crosses_a_process_border(self, tmp_path):
        header = header_with(tmp_path)
        assert pickle.loads(pickle.dumps(header)) == header

    def test_recurrent_and_hybrid_memories_cannot_be_truncated(self, tmp_path):
        for architecture in ("mamba2", "qwen3next", "lfm2", "nemotron_h"):
            assert not header_with(tmp_path, general__architecture=architecture).supports_truncation

    def test_an_architecture_of_tomorrow_is_read_and_judged_by_its_keys(self, tmp_path):
        header = header_with(tmp_path, general__architecture="gpt9", gpt9__block_count=2)
        assert (header.architecture, header.block_count, header.supports_truncation) == ("gpt9", 2, True)
        assert not header_with(tmp_path, general__architecture="gpt9", gpt9__ssm__state_size=8).supports_truncation


class TestThinkingTags:
    def test_come_from_the_chat_template(self, tmp_path):
        assert header_with(tmp_path).thinking_tags == ThinkingTags("<think>", "</think>")

    @pytest.mark.parametrize(
        ("template", "opening"),
        [
            ("{{ content.split('</think>')[-1] }}", "<think>"),
            ("[SYSTEM_PROMPT]…[THINK]…[/THINK]", "[THINK]"),
            ("{{ '<seed:think>' + reasoning }}", "<seed:think>"),
            (r"{{ '<|channel>thought\n<channel|>' }}", "<|channel>thought\n"),
            ("<|start|>assistant<|channel|>analysis<|message|>", "<|channel|>analysis<|message|>"),
        ],
    )
    def test_are_those_of_the_family(self, tmp_path, template, opening):
        tags = header_with(tmp_path, tokenizer__chat_template=template).thinking_tags
        assert tags is not None
        assert tags.opening == opening

    def test_are_not_guessed_from_the_vocabulary_against_the_template(self, tmp_path):
        tokens = [*WORDS, "<think>", "</think>"]
        header = header_with(tmp_path, tokenizer__chat_template="{{ x }}", tokenizer__ggml__tokens=tokens)
        assert header.thinking_tags is None

    @pytest.mark.parametrize("template", [None, ""])
    def test_come_from_the_vocabulary_without_a_template(self, tmp_path, template):
        tokens = [*WORDS, "[THINK]", "[/THINK]"]
        header = header_with(tmp_path, tokenizer__chat_template=template, tokenizer__ggml__tokens=tokens)
        assert header.thinking_tags == ThinkingTags("[THINK]", "[/THINK]")
        header = header_with(tmp_path, tokenizer__chat_template=template, tokenizer__ggml__tokens=[*WORDS, "<think>"])
        assert header.thinking_tags is None, "one of the two tokens is missing"


class TestVocabularyHash:
    def test_is_equal_for_siblings_padded_differently(self, tmp_path):
        count = len(WORDS)
        padded = [*WORDS, *(f"[PAD{number}]" for number in range(count, count + 40))]
        plain = header_with(tmp_path / "a")
        sibling = header_with(tmp_path / "b", tokenizer__ggml__tokens=padded)
        assert sibling.vocabulary_hash == plain.vocabulary_hash
        assert sibling.vocabulary_size == plain.vocabulary_size + 40

    def test_does_not_depend_on_how_long_arrays_are_kept(self, tmp_path):
        tokens = [f"t{number}" for number in range(1020)]
        padded = [*tokens, *(f"[PAD{number}]" for number in range(1020, 1100))]
        short = header_with(tmp_path / "a", tokenizer__ggml__tokens=tokens)
        long = header_with(tmp_path / "b", tokenizer__ggml__tokens=padded)
        assert short.vocabulary_hash == long.vocabulary_hash

    @pytest.mark.parametrize(
        "change",
        [
            {"tokenizer__ggml__model": "llama"},
            {"tokenizer__ggml__pre": "llama-bpe"},
            {"tokenizer__ggml__merges": ["Ġ t"]},
            {"tokenizer__ggml__tokens": [*WORDS[:-1], "other"]},
            {"tokenizer__ggml__tokens": [*WORDS[:-2], WORDS[-2] + WORDS[-1]]},
        ],
    )
    def test_differs_with_every_part(self, tmp_path, change):
        other = header_with(tmp_path / "b", **change)
        assert other.vocabulary_hash != header_with(tmp_path / "a").vocabulary_hash


class TestRefusals:
    @pytest.mark.parametrize(
        ("content", "likeness"),
        [
            (b"", "empty"),
            (bytes(1000), "zeros"),
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
            (b"<!DOCTYPE html><html>404</html>", "web page"),
            (struct.pack("<Q", 64) + b'{"weight":{"dtype":"F16"}}', "safetensors"),
            (b"PK\x03\x04rest", "zip archive"),
            (b"tjgg\x01\x00\x00\x00", "older GGML format"),
            (b"\x1f\x8b\x08rest", "compressed"),
            (b"hello", "other bytes"),
        ],
    )
    def test_what_is_no_gguf_says_what_it_looks_like(self, tmp_path, content, likeness):
        path = tmp_path / "model.gguf"
        path.write_bytes(content)
        assert "not a GGUF file" in refusal(path)
        assert likeness in refusal(path)

    def test_a_file_that_is_not_there(self, tmp_path):
        assert "cannot be read" in refusal(tmp_path / "gone.gguf")

    def test_other_versions(self, tmp_path):
        assert "big-endian" in refusal(write_gguf(tmp_path / "big.gguf", version=3 << 24))
        assert "GGUF version 1" in refusal(write_gguf(tmp_path / "old.gguf", version=1))
        assert "GGUF version 99" in refusal(write_gguf(tmp_path / "new.gguf", version=99))

    def test_random_bytes_after_the_magic_are_damage_and_no_version(self, tmp_path):
        path = tmp_path / "random.gguf"
        path.write_bytes(b"GGUF" + bytes.fromhex("2e9f97b0") * 100)
        assert "is not a usable GGUF file: it is damaged, or not a model" in refusal(path)

    @pytest.mark.parametrize("place", [0, 32, 2**40, 2**64 - 32])
    def test_tensors_that_overlap_or_lie_elsewhere(self, tmp_path, place):
        content = bytearray(gguf_bytes())
        second = tensors_of_a_llama()[1]
        name = struct.pack("<Q", len(second.name)) + second.name.encode()
        offset = content.index(name) + len(name) + 4 + 8 * len(second.shape) + 4
        content[offset : offset + 8] = struct.pack("<Q", place)
        (tmp_path / "m.gguf").write_bytes(content)
        assert "has an impossible size or place" in refusal(tmp_path / "m.gguf")

    def test_a_cut_file_names_both_sizes(self, tmp_path):
        whole = gguf_bytes()
        path = tmp_path / "cut.gguf"
        path.write_bytes(whole[:-500])
        assert f"has {len(whole) - 500:,} bytes" in refusal(path)
        assert f"need {len(whole):,}" in refusal(path)

    def test_a_file_cut_inside_its_header(self, tmp_path):
        path = tmp_path / "cut.gguf"
        path.write_bytes(gguf_bytes()[:700])
        assert "ends inside its header" in refusal(path) or "more than the file can hold" in refusal(path)

    def test_the_last_tensors_padding_may_be_missing(self, tmp_path):
        path = tmp_path / "model.gguf"
        path.write_bytes(gguf_bytes(tensors=[TensorSpec("token_embd.weight", (3,))])[:-20])
        assert read_header(path).tensor_bytes == 12

    def test_a_vocabulary_alone(self, tmp_path):
        assert "only a vocabulary" in refusal(write_gguf(tmp_path / "m.gguf", tensors=[]))

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"general__architecture": None}, "does not name its architecture"),
            ({"general__architecture": "clip"}, "the vision part of a model"),
            ({"tokenizer__ggml__tokens": None}, "no vocabulary"),
            ({"llama__block_count": "two"}, "“llama.block_count” is not a whole number"),
            ({"split__no": "one"}, "“split.no” is not a whole number"),
            ({"tokenizer__ggml__pre": 5}, "“tokenizer.ggml.pre” is not text"),
            ({"tokenizer__chat_template": "x" * 300_000}, "chat template of 300,000 characters"),
        ],
    )
    def test_a_key_of_a_model_that_cannot_be_used(self, tmp_path, changes, words):
        assert words in refusal(write_gguf(tmp_path / "m.gguf", values_of_a_llama(**changes)))

    def test_a_length_beyond_the_file_costs_no_memory(self, tmp_path):
        path = tmp_path / "m.gguf"
        path.write_bytes(b"GGUF" + struct.pack("<IQQQ", 3, 1, 1, 2**63) + b"x" * 100)
        assert "a text claims" in refusal(path)


class TestShards:
    def test_are_one_model_whichever_is_named(self, tmp_path):
        first, second = write_split_gguf(tmp_path)
        header = read_header(second)
        assert (header.path, header.shards) == (first, (first, second))
        assert header.tensor_bytes == sum(tensor_bytes(tensor) for tensor in tensors_of_a_llama())
        assert header.file_bytes == first.stat().st_size + second.stat().st_size

    def test_a_missing_one_is_named(self, tmp_path):
        first, second = write_split_gguf(tmp_path)
        second.unlink()
        assert "m-00002-of-00002.gguf is not beside it" in refusal(first)

    def test_a_renamed_one_is_noticed(self, tmp_path):
        first, _ = write_split_gguf(tmp_path, count_inside=3)
        assert "part 1 of 3 inside" in refusal(first)
        assert "of 3 inside" in refusal(first.rename(tmp_path / "model.gguf"))
        assert "part 5 of 2" in refusal(write_gguf(tmp_path / "m-00005-of-00002.gguf"))


@pytest.mark.real_models
class TestRealFiles:
    def test_smollm2(self, smollm2):
        header = read_header(smollm2)
        assert (header.architecture, header.size_label, header.quantisation) == ("llama", "135M", "Q4_1")
        assert (header.block_count, header.head_count, header.blocks[0].cache_elements) == (30, 9, 3 * 128)
        assert (header.vocabulary_size, header.context_length) == (49152, 8192)
        assert header.chat_template
        assert header.thinking_tags is None

    def test_gemma(self, gemma, smollm2):
        header = read_header(gemma)
        assert (header.architecture, header.size_label, header.quantisation) == ("gemma3", "270M", "Q4_K_M")
        assert (header.blocks[0].cache_elements, header.vocabulary_size) == (2 * 256, 262144)
        assert header.vocabulary_hash != read_header(smollm2).vocabulary_hash
        assert not header.chat_template

    def test_a_cut_real_file(self, smollm2, tmp_path):
        cut = tmp_path / "cut.gguf"
        with smollm2.open("rb") as whole:
            cut.write_bytes(whole.read(4_000_000))
        assert "its tensors need 98,362,432" in refusal(cut)


# Damage of any kind, in little memory


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
def test_damaged_headers_are_read_or_refused_in_little_memory(tmp_path):
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
def test_any_damage_is_read_or_refused(tmp_path, seed, end):
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


def test_a_vocabulary_beyond_the_limit_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "hostile.gguf"
    key = b"tokenizer.ggml.token_type"
    with path.open("wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQQ", 3, 1, 1, len(key)) + key)
        file.write(struct.pack("<IIQ", 9, 0, 2**33))
        file.truncate(2**34)  # a sparse file: nothing is written
    with watched_memory(), pytest.raises(ModelFileError, match="its header is longer than"):
        read_header(path)


@pytest.mark.slow
def test_many_arrays_take_no_more_than_their_share_of_memory(tmp_path):
    path = tmp_path / "hostile.gguf"
    keys = {f"k{number}": [0] * 1024 for number in range(500)}
    path.write_bytes(gguf_bytes(keys | values_of_a_llama()))
    with watched_memory():
        assert is_readable(path)


def test_too_many_keys_are_refused(tmp_path):
    path = tmp_path / "hostile.gguf"
    path.write_bytes(gguf_bytes({f"k{number}": 0 for number in range(2001)}))
    with pytest.raises(ModelFileError, match="claims 2,001 keys"):
        read_header(path)
