"""Writes small GGUF files for tests, by the format's own description, and grows tiny models of any architecture."""

import json
import math
import re
import struct
from typing import NamedTuple

import llama_cpp

F32, Q8_0 = 0, 8
TYPE_SIZES = {F32: (1, 4), Q8_0: (32, 34)}
WORDS = ("<unk>", "<s>", "</s>", "Ġthe", "Ġstep", "ĊĊ", *(chr(code) for code in range(33, 127)))


class TensorSpec(NamedTuple):
    name: str
    shape: tuple[int, ...]
    type: int = F32

    @property
    def bytes(self) -> int:
        block, size = TYPE_SIZES.get(self.type, (1, 4))
        return math.prod(self.shape) // block * size


def values_of_a_llama(**changes):
    """Keys of a model with two blocks; a change of None takes a key out, `__` stands for a dot."""
    values = {
        "general.architecture": "llama",
        "general.name": "Little Llama",
        "general.license": "mit",
        "general.file_type": 7,
        "llama.context_length": 512,
        "llama.embedding_length": 64,
        "llama.block_count": 2,
        "llama.feed_forward_length": 96,
        "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 2,
        "llama.rope.freq_base": 10000.0,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.ggml.tokens": list(WORDS),
        "tokenizer.ggml.token_type": [1] * len(WORDS),
        "tokenizer.ggml.merges": ["Ġ t", "Ġt he"],
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.add_bos_token": True,
        "tokenizer.chat_template": "{{ messages[0].content }}<think>\n",
    }
    values |= {key.replace("__", "."): value for key, value in changes.items()}
    return {key: value for key, value in values.items() if value is not None}


def tensors_of_a_llama():
    of_a_block = (
        ("attn_q", (64, 64), Q8_0),
        ("attn_k", (64, 32), Q8_0),
        ("attn_norm", (64,)),
        ("ffn_up", (64, 96), Q8_0),
    )
    blocks = [TensorSpec(f"blk.{block}.{name}.weight", *rest) for block in range(2) for name, *rest in of_a_block]
    return [TensorSpec("token_embd.weight", (64, len(WORDS)), Q8_0), *blocks, TensorSpec("output_norm.weight", (64,))]


def gguf_bytes(values=None, *, tensors=None, version=3):
    """A whole file. Python types choose GGUF's (int: u32, or i32 if negative); a tuple is a type and its bytes."""
    values = values_of_a_llama() if values is None else values
    tensors = tensors_of_a_llama() if tensors is None else tensors
    out = bytearray(b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(values)))
    for key, value in values.items():
        kind, content = _stored(value)
        out += _stored(key)[1] + struct.pack("<I", kind) + content
    offset = 0
    for tensor in tensors:
        out += _stored(tensor.name)[1] + struct.pack(f"<I{len(tensor.shape)}Q", len(tensor.shape), *tensor.shape)
        out += struct.pack("<IQ", tensor.type, offset)
        offset += _padded(tensor.bytes)
    if tensors:
        out += bytes(_padded(len(out)) - len(out) + offset)
    return bytes(out)


def write_gguf(path, values=None, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gguf_bytes(values, **options))
    return path


def write_split_gguf(folder, *, count_inside=2):
    """One model in two files, m-00001-of-00002.gguf and its sequel; the second holds tensors only."""
    tensors = tensors_of_a_llama()
    parts = []
    for number, share in enumerate((tensors[:4], tensors[4:])):
        split = {"split.no": number, "split.count": count_inside, "split.tensors.count": len(tensors)}
        values = values_of_a_llama() | split if number == 0 else split
        parts.append(write_gguf(folder / f"m-{number + 1:05}-of-00002.gguf", values, tensors=share))
    return parts


def _stored(value):
    """Return a value's GGUF type and its bytes."""
    match value:
        case tuple():
            return value
        case bool():
            return 7, struct.pack("<?", value)
        case int():
            return (4, struct.pack("<I", value)) if value >= 0 else (5, struct.pack("<i", value))
        case float():
            return 6, struct.pack("<f", value)
        case str():
            return 8, struct.pack("<Q", len(value.encode())) + value.encode()
    kinds, contents = zip(*map(_stored, value), strict=True) if value else ((4,), ())
    return 9, struct.pack("<IQ", kinds[0], len(value)) + b"".join(contents)


def _padded(size):
    return -(-size // 32) * 32


# Models of any architecture, grown by asking llama.cpp what they miss, in a process of its own

USUAL = """
    embedding_length=64 context_length=2048 feed_forward_length=96 rope.dimension_count=16
    attention.head_count=4 attention.head_count_kv=2
    attention.layer_norm_rms_epsilon=1e-5 attention.layer_norm_epsilon=1e-5
"""
RECIPES = {
    "gemma3": "block_count=7 attention.sliding_window=128",
    "gemma4": """
        block_count=8 attention.sliding_window=128 attention.shared_kv_layers=2 embedding_length_per_layer_input=16
        attention.sliding_window_pattern=[true,true,true,true,true,false,true,false] rope.dimension_count_swa=16
        attention.key_length=32 attention.value_length=32 attention.key_length_swa=16 attention.value_length_swa=16
    """,
    "mamba2": """
        block_count=2 ssm.conv_kernel=4 ssm.inner_size=128 ssm.state_size=16 ssm.time_step_rank=4 ssm.group_count=2
    """,
    "rwkv7": """
        block_count=2 wkv.head_size=16 token_shift_count=2 attention.decay_lora_rank=8 attention.iclr_lora_rank=8
        attention.value_residual_mix_lora_rank=8 attention.gate_lora_rank=8
    """,
    "jamba": """
        block_count=4 attention.head_count_kv=[0,0,2,0]
        ssm.conv_kernel=4 ssm.inner_size=128 ssm.state_size=16 ssm.time_step_rank=4
    """,
    "lfm2": "block_count=4 attention.head_count_kv=[0,2,0,2] shortconv.l_cache=3",
    "qwen35": """
        block_count=4 ssm.conv_kernel=4 ssm.inner_size=128 ssm.state_size=16 ssm.time_step_rank=8 ssm.group_count=4
        rope.dimension_sections=[4,4,0,0]
    """,
    "deepseek2": """
        block_count=2 attention.head_count_kv=1 attention.key_length=80 attention.value_length=64
        attention.key_length_mla=48 attention.value_length_mla=32 attention.kv_lora_rank=64 attention.q_lora_rank=32
        leading_dense_block_count=1 expert_count=4 expert_used_count=2 expert_feed_forward_length=32
        expert_shared_count=1 expert_weights_scale=1.0
    """,
}
"""One architecture of each kind, with its keys."""

WANTED = {
    "qwen35": [f"blk.3.attn_{name}" for name in "qkv"]
    + [f"blk.{block}.attn_{name}" for block in range(3) for name in ("qkv", "gate")]
}
"""Tensors that llama.cpp can do without, but not well."""


def logging_llama():
    """Start llama.cpp with a log in a list; the callback is returned too, or it is collected while it is called."""
    log = []

    @llama_cpp.llama_log_callback
    def keep(_level, text, _user):
        log.append(text.decode(errors="replace"))

    llama_cpp.llama_log_set(keep, None)
    llama_cpp.llama_backend_init()
    return log, keep


def loaded(path):
    return llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())


def grow(folder, architecture, shape=()):
    """Write a model by its recipe, or a larger one by keys of its shape; return its path.

    llama.cpp names a tensor that is not there, or the shape it wants; that is added until the model loads.
    """
    log, _keep = logging_llama()
    values = values_of_a_llama(tokenizer__ggml__token_type=None, general__architecture=architecture)
    for entry in f"{USUAL} {RECIPES[architecture]}".split():
        key, value = entry.split("=")
        values[f"{architecture}.{key}"] = json.loads(value)
    values |= {f"{architecture}.{key}": value for key, value in dict(shape).items()}
    shapes: dict[str, tuple[int, ...]] = {f"{name}.weight": (1,) for name in WANTED.get(architecture, ())}
    while True:
        tensors = [TensorSpec(name, lengths) for name, lengths in shapes.items()]
        path = write_gguf(folder / f"{architecture}.gguf", values, tensors=tensors)
        log.clear()
        if model := loaded(path):
            llama_cpp.llama_model_free(model)
            return path
        said = "".join(log)
        if missing := re.search(r"tensor '([^']+)' not found", said):
            shapes[missing[1]] = (1,)
        else:
            other = re.search(r"tensor '([^']+)' has wrong shape; expected\s+([\d, ]+), got", said)
            assert other, f"{architecture} does not grow: {said[-1000:]}"
            shapes[other[1]] = tuple(map(int, re.findall(r"\d+", other[2])))
