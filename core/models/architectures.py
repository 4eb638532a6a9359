"""Model architectures, by the name a GGUF file gives under `general.architecture`.

The lists follow the llama.cpp that llama-cpp-python 0.3.36 carries (`src/llama-arch.cpp`: `LLM_ARCH_NAMES`,
`llm_arch_is_recurrent`, `llm_arch_is_hybrid`, `llm_arch_is_diffusion`). A test holds them against it.
"""

_RECURRENT = "arwkv7 mamba mamba2 rwkv6 rwkv6qwen2 rwkv7"

_HYBRID = """
    bailingmoe3 deepseek4 falcon-h1 glm5-next granitehybrid jamba kimi-k3 kimi-linear lfm2 lfm2moe minimax-01
    nemotron_h nemotron_h_moe plamo2 qwen35 qwen35moe qwen3next qwen4exp
"""

_ATTENDING = """
    afmoe apertus arcee arctic baichuan bailingmoe bailingmoe2 bitnet bloom chameleon chatglm codeshell cogvlm
    cohere2 cohere2moe command-r dbrx deci deepseek deepseek2 deepseek2-ocr deepseek32 dots1 dots3note
    ernie4_5 ernie4_5-moe exaone exaone-moe exaone4 falcon gemma gemma2 gemma3 gemma3n gemma4 glm-dsa glm4
    glm4moe gpt-oss gpt2 gptj gptneox granite granite_swa granitemoe graniteswitch grok grovemoe hrm_text
    hunyuan-dense hunyuan-moe hunyuan_vl hy_v3 hy_v4 internlm2 jais jais2 laguna llama llama4 maincoder
    maple mellum mimo2 minicpm minicpm3 minimax-m2 minimax-m3 mistral3 mistral4 mpt muse-glimmer nanbeige
    nemotron olmo olmo2 olmoe openelm orion paddleocr pangu-embedded phi2 phi3 phimoe plamo plamo3 plm qwen
    qwen2 qwen2moe qwen2vl qwen3 qwen3moe qwen3vl qwen3vlmoe refact seed_oss smallthinker smollm3 spark2_5
    stablelm starcoder starcoder2 step35 talkie xverse
"""

_EMBEDDING = """
    bert eurobert gemma-embedding jina-bert-v2 jina-bert-v3 llama-embed modern-bert neo-bert nomic-bert
    nomic-bert-moe
"""

RECURRENT = frozenset(_RECURRENT.split())
"""Their whole memory is one running state: it cannot be cut back to an earlier token."""

HYBRID = frozenset(_HYBRID.split())
"""Some layers attend, some keep a running state: cut back only by way of a snapshot."""

WRITERS = frozenset(_ATTENDING.split()) | RECURRENT | HYBRID
"""Architectures that llama.cpp loads and that write text from left to right."""

NOT_WRITERS: dict[str, str] = {
    "clip": "the vision part of a model",
    **dict.fromkeys(_EMBEDDING.split(), "an embedding model"),
    **dict.fromkeys(("t5", "t5encoder"), "an encoder-decoder model"),
    **dict.fromkeys(("dream", "llada", "llada-moe", "rnd1"), "a diffusion model"),
    **dict.fromkeys(("pockettts", "qwen3tts", "wavtokenizer-dec"), "a speech model"),
    **dict.fromkeys(("dflash", "eagle3", "gemma4-assistant"), "a drafting head for another model"),
}
"""Architectures that llama.cpp knows and that cannot write a text step by step, with what they are."""


def memory_can_be_cut(architecture: str) -> bool:
    """Can the KV cache be cut back to an earlier token? Otherwise a snapshot at each boundary is needed."""
    return architecture not in RECURRENT and architecture not in HYBRID
