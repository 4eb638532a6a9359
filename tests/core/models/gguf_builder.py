"""Writes small GGUF files for tests, by the format's own description."""

import struct
from dataclasses import dataclass

F32, Q8_0 = 0, 8
TYPE_SIZES = {F32: (1, 4), Q8_0: (32, 34)}
WORDS = ("<unk>", "<s>", "</s>", "Ġthe", "Ġstep", "ĊĊ", *(chr(code) for code in range(33, 127)))


@dataclass(frozen=True)
class TensorSpec:
    name: str
    shape: tuple[int, ...]
    type: int = F32

    @property
    def bytes(self) -> int:
        block, size = TYPE_SIZES[self.type]
        elements = 1
        for length in self.shape:
            elements *= length
        return elements // block * size


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
    """A whole file. Python types choose the GGUF types: str, bool, int (u32, or i32 if negative), float, list."""
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
