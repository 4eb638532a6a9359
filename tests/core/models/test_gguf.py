"""Headers are read whole and right, and what cannot be used is refused with a reason, however it is damaged."""

import ctypes
import pickle
import random
import struct
import tracemalloc
from collections import Counter
from contextlib import contextmanager, nullcontext
from pathlib import Path

import llama_cpp
import pytest

from baton_reasoning.core.errors import ModelFileError
from baton_reasoning.core.models.fit import estimate
from baton_reasoning.core.models.gguf import KINDS, read_header
from baton_reasoning.core.models.gguf_format import FILE_TYPES, TENSOR_TYPES
from baton_reasoning.core.models.load_options import KvType, LoadOptions
from baton_reasoning.core.models.ollama import OWN_ARCHITECTURES
from baton_reasoning.core.models.thinking_tags import KNOWN_TAGS
from tests.core.models.gguf_builder import (
    WORDS,
    TensorSpec,
    gguf_bytes,
    tensors_of_a_llama,
    values_of_a_llama,
    write_gguf,
    write_split_gguf,
)
from tests.tiers import size


@pytest.fixture
def header_with(tmp_path):
    """Read the header of a llama with changed keys."""
    return lambda **changes: read_header(write_gguf(tmp_path / "model.gguf", values_of_a_llama(**changes)))


def refusal(path):
    with pytest.raises(ModelFileError) as refused:
        read_header(path)
    return str(refused.value)


# What is read


def test_keys_and_sizes_are_read(header_with, tmp_path):
    header = header_with()
    assert (header.architecture, header.name, header.licence) == ("llama", "Little Llama", "mit")
    assert (header.quantisation, header.context_length, header.block_count) == ("Q8_0", 512, 2)
    assert (header.embedding_length, header.feed_forward_length, header.head_count) == (64, 96, 4)
    assert (header.vocabulary_size, header.add_space_prefix, header.supports_truncation) == (len(WORDS), False, True)
    sizes = [tensor.bytes for tensor in tensors_of_a_llama()]
    assert header.tensor_bytes == sum(sizes)
    assert [block.tensor_bytes for block in header.blocks] == [sum(sizes[1:5]), sum(sizes[5:9])]
    assert (header.token_embedding_bytes, header.output_is_tied) == (sizes[0], True)
    assert header.file_bytes == (tmp_path / "model.gguf").stat().st_size
    assert pickle.loads(pickle.dumps(header)) == header, "it crosses a process border"
    assert header.vocabulary_hash.startswith("2f2b5126251db8ed"), "as in the traces and batches that are stored"


def test_what_a_file_leaves_out_follows_from_what_it_holds(header_with):
    header = header_with(general__name=None, general__file_type=None, llama__feed_forward_length=None)
    assert header.feed_forward_length == 0
    assert (header.name, header.quantisation) == ("model", "Q8_0"), "the file's, and the commonest of its tensors"
    assert header.parameters == 64 * (len(WORDS) + 1) + 2 * 64 * (64 + 32 + 1 + 96)
    assert [block.cache_elements for block in header.blocks] == [2 * (16 + 16)] * 2, "heads divide the embedding"
    by_block = header_with(llama__attention__head_count_kv=[4, 0])
    assert [block.cache_elements for block in by_block.blocks] == [4 * 32, 0], "heads may differ by block"
    for kind, form in {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 10: "Q", 11: "q"}.items():
        assert header_with(llama__block_count=(kind, struct.pack(f"<{form}", 2))).block_count == 2
    for kind, form in {6: "f", 7: "?", 12: "d"}.items():
        assert header_with(general__other=(kind, struct.pack(f"<{form}", 1))).block_count == 2, "it is as wide as that"


def test_a_token_reads_the_experts_that_are_used_and_no_embedding_but_its_own(header_with, tmp_path):
    experts, output = TensorSpec("blk.0.ffn_up_exps.weight", (64, 96, 8)), TensorSpec("output.weight", (64, 64))
    tensors = [*tensors_of_a_llama(), experts, output]
    for used, idle in ((2, experts.bytes * 6 // 8), (0, 0), (9, 0)):
        values = values_of_a_llama(llama__expert_count=8, llama__expert_used_count=used)
        header = read_header(write_gguf(tmp_path / "experts.gguf", values, tensors=tensors))
        assert header.active_bytes == header.tensor_bytes - idle - header.token_embedding_bytes
    tied = header_with()
    assert tied.active_bytes == tied.tensor_bytes


@pytest.mark.parametrize(
    ("architecture", "keys", "cache", "state"),
    [
        ("falcon-h1", {"ssm__inner_size": 32, "ssm__state_size": 8}, [64] * 3, [1024] * 3),
        ("kimi-linear", {"kda__head_dim": 8, "attention__head_count_kv": [0, 2, 0]}, [0, 64, 0], [2176, 0, 2176]),
        ("qwen3next", {"full_attention_interval": 2, "ssm__state_size": 8}, [0, 64, 0], [0] * 3),
        ("gemma3n", {"attention__shared_kv_layers": 2}, [64] * 3, [0] * 3),
        ("gpt9", {"ssm__state_size": 8}, [64] * 3, [0] * 3),
    ],
)
def test_blocks_keep_caches_and_states_as_their_architecture_does(header_with, architecture, keys, cache, state):
    """Others are held against llama.cpp itself, in test_fit.py."""
    usual = {"block_count": 3, "embedding_length": 64, "attention__head_count": 4, "attention__head_count_kv": 2}
    own = {f"{architecture}__{key}": value for key, value in (usual | keys).items()}
    header = header_with(general__architecture=architecture, **own)
    assert [block.cache_elements for block in header.blocks] == cache
    assert [block.state_bytes for block in header.blocks] == state
    assert header.supports_truncation is (architecture == "gemma3n")


# Thinking tags and vocabulary


def test_thinking_tags_come_from_the_chat_template_and_not_from_the_vocabulary(header_with):
    for tags in KNOWN_TAGS:
        assert header_with(tokenizer__chat_template=f"{{{{ '{tags.opening}' + content }}}}").thinking_tags == tags
    for template in (None, "{{ x }}", "{{ content.split('</think>')[-1] }}"):
        vocabulary = [*WORDS, KNOWN_TAGS[0].opening]
        assert header_with(tokenizer__chat_template=template, tokenizer__ggml__tokens=vocabulary).thinking_tags is None


def test_a_sentencepiece_tokenizer_puts_a_blank_before_a_text_unless_its_file_says_otherwise(header_with):
    for model, said, has_blank in (("llama", None, True), ("llama", False, False), ("gpt2", None, False)):
        changes = {"tokenizer__ggml__model": model, "tokenizer__ggml__add_space_prefix": said}
        assert header_with(**changes).add_space_prefix is has_blank


@pytest.mark.parametrize("count", [1020, len(WORDS)])
def test_a_vocabulary_has_the_same_hash_however_it_is_padded_and_read(header_with, count, monkeypatch):
    """With 1,025 tokens and more, the array stays bytes."""
    tokens = [f"t{number}" for number in range(count)]
    padded = [*tokens, *(f"[PAD{number}]" for number in range(count, count + 40))]
    plain, sibling = header_with(tokenizer__ggml__tokens=tokens), header_with(tokenizer__ggml__tokens=padded)
    assert sibling.vocabulary_hash == plain.vocabulary_hash
    assert sibling.vocabulary_size == plain.vocabulary_size + 40
    monkeypatch.setattr("baton_reasoning.core.models.gguf_format._CHUNK", 7)
    assert header_with(tokenizer__ggml__tokens=padded) == sibling, "though few bytes are read at once"


def test_the_hash_of_a_vocabulary_differs_with_every_part(header_with):
    for change in (
        {"tokenizer__ggml__model": "llama"},
        {"tokenizer__ggml__pre": "llama-bpe"},
        {"tokenizer__ggml__merges": ["Ġ t"]},
        {"tokenizer__ggml__tokens": [*WORDS[:-2], WORDS[-2] + WORDS[-1]]},
    ):
        assert header_with(**change).vocabulary_hash != header_with().vocabulary_hash, change


# Refusals


@pytest.mark.parametrize(
    ("content", "likeness"),
    [
        (b"", "empty"),
        (bytes(1000), "not been written yet"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "Git LFS pointer"),
        (b"<!DOCTYPE html><html>404</html>", "web page"),
        (b"hello", "other bytes"),
        (gguf_bytes(version=1), "GGUF version 1,"),
        (gguf_bytes(version=4), "GGUF version 4,"),
        (gguf_bytes()[:40], "ends inside its header"),
        (gguf_bytes({"k": [0] * 100})[:60], "claims 100 elements, more than the file can hold"),
        (gguf_bytes()[:-500], f"has {len(gguf_bytes()) - 500:,} bytes and its tensors need {len(gguf_bytes()):,}"),
        (gguf_bytes(tensors=[TensorSpec("a", (1,))] * 2), "“a” is there twice"),
        (gguf_bytes(tensors=[TensorSpec("a", (1,) * 5)]), "more than four dimensions"),
        (gguf_bytes(tensors=[TensorSpec("a", (33,), 8)]), "rows of the tensor “a” do not fit its type"),
        (gguf_bytes(tensors=[TensorSpec("a", (1,), 99)]), "“a” has a type that this version does not know"),
        (gguf_bytes({"": 1}), "the key “” is empty or there twice"),
        (gguf_bytes(tensors=[]), "only a vocabulary"),
        (gguf_bytes({f"k{number}": 0 for number in range(2001)}), "claims 2,001 keys"),
        (gguf_bytes({"k": [[1]]}), "elements of the unknown type 9"),
        (gguf_bytes({"k": [1]}).replace(b"\x09\0\0\0\x04", b"\x09\0\0\0\x63"), "elements of the unknown type 99"),
        (gguf_bytes({"k": 1}).replace(b"k\x04", b"k\x63"), "a value has the unknown type 99"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 1, 1, 2**63) + b"x" * 100, "a text claims"),
        ({"general__architecture": None}, "does not name its architecture"),
        ({"general__architecture": "clip"}, "a clip model, a kind that cannot write text"),
        ({"general__alignment": 48}, "alignment is not a power of two"),
        ({"tokenizer__ggml__tokens": None}, "no vocabulary"),
        ({"llama__block_count": "two"}, "“llama.block_count” is not a whole number"),
        ({"llama__block_count": 10_001}, "claims 10,001 blocks"),
        ({"llama__attention__head_count_kv": ["2"]}, "is not a list of whole numbers"),
        ({"llama__feed_forward_length": [-1]}, "is not a list of whole numbers"),
        ({"tokenizer__ggml__pre": 5}, "“tokenizer.ggml.pre” is not text"),
        ({"tokenizer__chat_template": "x" * 1_100_000}, "a text claims 1,100,000 bytes"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_reason(tmp_path, content, likeness):
    """`content`: bytes, or the keys by which it differs from a llama."""
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf_bytes(values_of_a_llama(**content)) if isinstance(content, dict) else content)
    assert likeness in refusal(path)


def test_a_file_that_is_not_there_or_cut_inside_its_last_padding(tmp_path):
    path = tmp_path / "model.gguf"
    assert refusal(path).startswith("model.gguf cannot be read: "), "in the words of the system"
    path.write_bytes(gguf_bytes(tensors=[TensorSpec("token_embd.weight", (3,))])[:-20])
    header = read_header(path)
    assert (header.tensor_bytes, header.parameters) == (12, 3), "the padding after the last tensor may be missing"


@pytest.mark.parametrize("place", [0, 32, 2**40, 2**64 - 32])
def test_tensors_that_overlap_or_lie_elsewhere_are_refused(tmp_path, place):
    content = bytearray(gguf_bytes())
    second = tensors_of_a_llama()[1]
    offset = content.index(second.name.encode()) + len(second.name) + 4 + 8 * len(second.shape) + 4
    content[offset : offset + 8] = struct.pack("<Q", place)
    (tmp_path / "m.gguf").write_bytes(content)
    assert "has an impossible size or place" in refusal(tmp_path / "m.gguf")


def test_parts_are_one_model_whichever_is_named_and_one_that_is_missing_or_renamed_is_named(tmp_path):
    first, second = write_split_gguf(tmp_path)
    header = read_header(second)
    assert (header.path, header.shards) == (first, (first, second))
    assert header.tensor_bytes == sum(tensor.bytes for tensor in tensors_of_a_llama())
    assert header.file_bytes == first.stat().st_size + second.stat().st_size
    second.unlink()
    assert "m-00002-of-00002.gguf is not beside it" in refusal(first)
    first, _ = write_split_gguf(tmp_path, count_inside=3)
    assert "part 1 of 3 inside" in refusal(first)
    assert "of 3 inside" in refusal(first.rename(tmp_path / "model.gguf"))
    assert "part 5 of 2" in refusal(write_gguf(tmp_path / "m-00005-of-00002.gguf"))
    assert "2 and 1 more" in refusal(write_gguf(tmp_path / "n-00001-of-00003.gguf")).replace("-of-00003.gguf", "")


# Our tables say what the installed llama.cpp says; an update that changes them fails here first

LIBRARIES = Path(llama_cpp.__file__).parent / "lib"


def test_tensor_types_have_ggmls_sizes_and_file_types_llama_cpps_names():
    ggml = ctypes.CDLL(str(next(LIBRARIES.glob("*ggml-base.*"))))
    ggml.ggml_type_size.restype, ggml.ggml_type_name.restype = ctypes.c_size_t, ctypes.c_char_p
    ggml.ggml_blck_size.restype = ctypes.c_int64
    for number in range(max(TENSOR_TYPES) + 1):
        if not (size := ggml.ggml_type_size(number)):
            assert number not in TENSOR_TYPES
        else:
            kind = TENSOR_TYPES[number]
            assert (kind.block, kind.size) == (ggml.ggml_blck_size(number), size)
            assert kind.name.lower() == ggml.ggml_type_name(number).decode().lower()
    assert all(TENSOR_TYPES[kind.value].name == kind.name for kind in KvType)
    names = {
        value: name.removeprefix("LLAMA_FTYPE_").removeprefix("MOSTLY_").removeprefix("ALL_").removesuffix("_MOE")
        for name, value in vars(llama_cpp).items()
        if name.startswith("LLAMA_FTYPE_") and name != "LLAMA_FTYPE_GUESSED"
    }
    assert {number: FILE_TYPES.get(number, "").split("_MOE")[0] for number in names} == names


def test_every_architecture_is_in_the_library():
    native = next(LIBRARIES.glob("*llama.*")).read_bytes()
    # Only the end is marked: a linker keeps “rwkv7” as the tail of “arwkv7”.
    assert not {name for name in KINDS if name.encode() + b"\0" not in native}
    assert not {name for name in OWN_ARCHITECTURES if name.encode() + b"\0" in native}, "only Ollama knows them"


# Damage of any kind, in little memory

DAMAGED_HEADERS = size(300, long=2_000)
MEMORY_LIMIT = 16 * 2**20
EXTREMES = (0, 1, 2**7, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**63, 2**64 - 1)


def damaged(whole, chance):
    """One to four changes of the kinds that broken disks, downloads and hostile people make."""
    content = bytearray(whole)
    for _ in range(chance.randint(1, 4)):
        place, length = chance.randrange(len(content) + 1), chance.choice((0, 1, 4, 8))
        number = struct.pack("<Q", chance.choice(EXTREMES))[:length]
        content[place : place + length] = chance.choice((number, b"", chance.randbytes(length or 20)))
    return bytes(content[: chance.choice((None, chance.randrange(len(content))))])


def is_readable(path):
    try:
        header = read_header(path)
    except ModelFileError:
        return False
    return estimate(header, LoadOptions(context=4096)).total_bytes >= header.tensor_bytes


@contextmanager
def watched_memory():
    tracemalloc.start()
    yield
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MEMORY_LIMIT


@pytest.mark.scaled
def test_damaged_headers_are_read_or_refused_in_little_memory(tmp_path):
    chance = random.Random(20250412)
    own = {"block_count": 2, "embedding_length": 64, "attention.sliding_window_pattern": [True, False]}
    sliding = {f"gemma3.{key}": value for key, value in own.items()} | {"general.architecture": "gemma3"}
    hybrid = {"general.architecture": "qwen3next", "qwen3next.block_count": 2, "qwen3next.ssm.state_size": 8}
    wholes = [gguf_bytes(values_of_a_llama() | changes) for changes in ({}, sliding, hybrid)]
    path = tmp_path / "damaged.gguf"
    outcomes = Counter[bool]()
    for number in range(DAMAGED_HEADERS):
        path.unlink(missing_ok=True)  # overwriting would make some file systems flush: ten times slower
        path.write_bytes(damaged(wholes[number % len(wholes)], chance))
        # Watching memory slows everything down, so every tenth file stands for the others.
        with watched_memory() if number % 10 == 0 else nullcontext():
            outcomes[is_readable(path)] += 1
    assert outcomes[False] > DAMAGED_HEADERS // 3
    assert outcomes[True] > DAMAGED_HEADERS // 20


@pytest.mark.slow
def test_long_and_many_arrays_take_no_more_than_their_share_of_memory(tmp_path):
    path = tmp_path / "hostile.gguf"
    key = b"tokenizer.ggml.token_type"
    with path.open("wb") as file:
        file.write(b"GGUF" + struct.pack("<IQQQ", 3, 1, 1, len(key)) + key)
        file.write(struct.pack("<IIQ", 9, 0, 2**33))
        file.truncate(2**34)  # a sparse file: nothing is written
    with watched_memory():
        assert "its header is longer than" in refusal(path)
    path.unlink()
    path.write_bytes(gguf_bytes({f"k{number}": [0] * 1024 for number in range(500)} | values_of_a_llama()))
    with watched_memory():
        assert is_readable(path)
