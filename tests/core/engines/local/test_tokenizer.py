"""The tokenizer of a file, without its weights."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from baton_reasoning.core.demo_pair import SMALL_MODEL
from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.engines.local.tokenizer import tokenize_by
from baton_reasoning.core.engines.remote.protocol import PROBE
from baton_reasoning.core.errors import ModelFileError
from baton_reasoning.core.models.options import LoadOptions


@pytest.mark.real_models
def test_it_tokenises_as_the_loaded_model_does(smollm2):
    with closing(LocalEngine(smollm2, LoadOptions(context=256, threads=1))) as engine:
        assert tokenize_by(smollm2, PROBE) == engine.tokenize(PROBE, special=True)


def test_a_file_that_is_no_model_is_refused():
    with pytest.raises(ModelFileError, match="is not a GGUF file"):
        tokenize_by(Path(__file__), PROBE)


def test_a_file_that_llama_cpp_cannot_read_is_refused(tmp_path):
    """The header is whole, but names an architecture that there is not."""
    broken = tmp_path / "broken.gguf"
    broken.write_bytes(SMALL_MODEL.read_bytes().replace(b"llama", b"lhama"))
    with pytest.raises(ModelFileError, match=r"broken\.gguf"):
        tokenize_by(broken, PROBE)
