"""A trained model as a GGUF file that llama.cpp runs as any other Llama."""

from __future__ import annotations

from pathlib import Path

import gguf

from demo_pair import tokenizer
from demo_pair.model import CONTEXT, EPSILON, ROPE_BASE, Llama

CHAT_TEMPLATE = (
    "<|begin|>"
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}<|system|>{{ message['content'] }}"
    "{% elif message['role'] == 'user' %}<|user|>{{ message['content'] }}"
    "{% else %}<|assistant|>{{ message['content'] }}<|end|>{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}"
)

NAMES = {
    "embedding": "token_embd",
    "norm": "output_norm",
    "head": "output",
    "attention_norm": "attn_norm",
    "attention.q": "attn_q",
    "attention.k": "attn_k",
    "attention.v": "attn_v",
    "attention.output": "attn_output",
    "feed_forward_norm": "ffn_norm",
    "feed_forward.gate": "ffn_gate",
    "feed_forward.up": "ffn_up",
    "feed_forward.down": "ffn_down",
}


def gguf_name(name: str) -> str:
    """`blocks.1.attention.q.weight` -> `blk.1.attn_q.weight`."""
    name = name.removesuffix(".weight")
    if not name.startswith("blocks."):
        return f"{NAMES[name]}.weight"
    _, block, part = name.split(".", 2)
    return f"blk.{block}.{NAMES[part]}.weight"


def export(model: Llama, path: Path, name: str, description: str) -> None:
    """Write metadata, vocabulary and weights (all F32)."""
    writer = gguf.GGUFWriter(path, "llama")
    _describe(writer, model, name, description)
    _add_tokenizer(writer)
    for weight_name, weight in model.state_dict().items():
        writer.add_tensor(gguf_name(weight_name), weight.float().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _describe(writer: gguf.GGUFWriter, model: Llama, name: str, description: str) -> None:
    shape = model.shape
    writer.add_name(name)
    writer.add_description(description)
    writer.add_license("MIT")
    writer.add_size_label(f"{model.parameter_count // 1000}K")
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(shape.width)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.feed_forward)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_rope_dimension_count(shape.head_width)
    writer.add_rope_freq_base(ROPE_BASE)
    writer.add_layer_norm_rms_eps(EPSILON)
    writer.add_vocab_size(len(tokenizer.TOKENS))


def _add_tokenizer(writer: gguf.GGUFWriter) -> None:
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokenizer.TOKENS)
    writer.add_token_types(tokenizer.KINDS)
    writer.add_token_merges(tokenizer.MERGES)
    writer.add_bos_token_id(tokenizer.BEGIN_ID)
    writer.add_eos_token_id(tokenizer.END_ID)
    writer.add_add_bos_token(False)
    writer.add_chat_template(CHAT_TEMPLATE)
