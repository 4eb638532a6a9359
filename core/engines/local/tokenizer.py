"""A model's tokenizer through llama-cpp-python, with or without its weights."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path
from typing import Any

from llama_cpp import llama_cpp as ll

from baton_reasoning.core.child_process import NoAnswer, run_in_subprocess
from baton_reasoning.core.errors import EngineLost, ModelFileError
from baton_reasoning.core.models.gguf import read_header

SECONDS_TO_TOKENIZE = 60


class Tokenizer:
    def __init__(self, vocab: Any, space_prefix: bool) -> None:
        """`vocab`: llama.h's. `space_prefix`: it puts a blank before any text."""
        self.vocab = vocab
        self.space_prefix = space_prefix

    @lru_cache(maxsize=256)  # noqa: B019  it lives as long as its process
    def tokenize(self, text: str, special: bool) -> tuple[int, ...]:
        """Tokenize a text on its own, without BOS; control tokens are recognised if `special`."""
        if not text:
            return ()
        if self.space_prefix:
            # A newline in front takes the blank, and goes again.
            guarded = self._tokenize("\n" + text, special)
            return guarded[len(self._tokenize("\n", special)) :]
        return self._tokenize(text, special)

    def _tokenize(self, text: str, special: bool) -> tuple[int, ...]:
        data = text.encode("utf-8", errors="replace")  # a lone surrogate has no UTF-8
        capacity = len(data) + 8
        ids = (ll.llama_token * capacity)()
        count = ll.llama_tokenize(self.vocab, data, len(data), ids, capacity, False, special)
        return tuple(ids[:count])


def tokenize_by(model: Path, text: str) -> tuple[int, ...]:
    """Tokenize a text by the tokenizer of a GGUF file, control tokens recognised, without reading its weights.

    It runs in a process of its own, as everything native. Raises ModelFileError, EngineLost.
    """
    header = read_header(model)
    try:
        return run_in_subprocess(
            _tokenize_by, str(header.path), header.add_space_prefix, text, seconds=SECONDS_TO_TOKENIZE
        )
    except NoAnswer as error:
        raise EngineLost(f"The tokenizer of {model.name} could not be read.", "Choose another file.") from error


def _tokenize_by(path: str, space_prefix: bool, text: str) -> tuple[int, ...]:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # llama.cpp writes about the file
    params = ll.llama_model_default_params()
    params.vocab_only = True
    model = ll.llama_model_load_from_file(os.fsencode(path), params)
    if not model:
        raise ModelFileError(f"llama.cpp cannot read the tokenizer of {path}.", "Choose another file.")
    return Tokenizer(ll.llama_model_get_vocab(model), space_prefix).tokenize(text, special=True)
