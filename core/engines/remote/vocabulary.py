"""Compares the vocabularies of two models by tokenising a probe, since a server reveals no hash of its own.

The probe covers where related vocabularies differ: scripts, numbers, white space, code, emoji, and the control
tokens of common templates. If all ids are equal, token ids may be handed over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from baton_reasoning.core.engines.base import ModelCard

PROBE = "\n".join(
    (
        "Let $x_1, \\dots, x_n$ satisfy \\frac{1}{2}\\sum_{i=1}^{n} x_i^2 \\le \\sqrt{2024}; find \\boxed{x}.",
        "Wait, let me verify: 12345678901234567890 - 9.99e-7 = 0x1F? Alternatively, recheck the 3rd step …",
        "def f(xs):\n    return {k: [v for v in xs if v != k][::-1] for k in xs}  # O(n²)\n\n\n\t\t\tEnd.",
        "naïve Übergrößenträger, señor, œuvre, Þórr, İstanbul, Ωμέγα, Москва, שלום, السلام, नमस्ते, ไทย, 한국어",
        "東京の天気は晴れです。数学的归纳法证明：对任意正整数成立。🐣🐥👩‍👩‍👧‍👦 ∀ε>0 ∃δ ⟹ ∎ ① ⅔",
        "<think></think><|im_start|><|im_end|><|endoftext|><tool_call></tool_call><|begin_of_text|><|eot_id|>",
        "<s></s>[INST][/INST]<start_of_turn><end_of_turn><｜User｜><｜Assistant｜><｜end▁of▁sentence｜>",
        "<|start|><|channel|><|message|><|end|><|user|><|assistant|><|system|><unused0>[PAD0]",
        "antidisestablishmentarianism pneumonoultramicroscopic zzzzqqqq XÆA-12 iPhone15 e.g. i.e. http://a.b/c?d=e",
    )
)


def fingerprint(probe_ids: Sequence[int]) -> str:
    """Name the vocabulary that gives the probe these ids; never equal to a hash of a GGUF file."""
    digest = hashlib.sha256(",".join(map(str, probe_ids)).encode())
    return f"probe:{digest.hexdigest()}"


def same_vocabulary(card: ModelCard, probe_ids: Sequence[int]) -> bool:
    """Return whether the remote model of this card gives the probe the same ids.

    `probe_ids`: the probe by another model's tokenizer, control tokens recognised, without BOS.
    """
    return card.vocabulary == fingerprint(probe_ids)
