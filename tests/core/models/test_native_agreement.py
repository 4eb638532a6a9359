"""Our tables say what the installed llama.cpp says; an update that changes them fails here first."""

import ctypes
from importlib import import_module
from pathlib import Path

import pytest

from baton_reasoning.core.engines.local.engine import LocalEngine
from baton_reasoning.core.errors import EngineError
from baton_reasoning.core.models.gguf import HYBRID, NOT_WRITERS, RECURRENT, supports_truncation
from baton_reasoning.core.models.gguf_format import FILE_TYPES, TENSOR_TYPES
from baton_reasoning.core.models.options import DemoModel, KvType, LoadOptions

LLAMA_CPP = import_module("llama_cpp")
LIBRARIES = Path(str(LLAMA_CPP.__file__)).parent / "lib"


@pytest.fixture(scope="module")
def ggml():
    library = ctypes.CDLL(str(next(LIBRARIES.glob("*ggml-base.*"))))
    library.ggml_type_size.restype = ctypes.c_size_t
    library.ggml_blck_size.restype = ctypes.c_int64
    library.ggml_type_name.restype = ctypes.c_char_p
    return library


def test_tensor_types_have_ggmls_sizes(ggml):
    for number in range(max(TENSOR_TYPES) + 1):
        size = ggml.ggml_type_size(number)
        if size == 0:
            assert number not in TENSOR_TYPES
        else:
            kind = TENSOR_TYPES[number]
            assert (kind.block, kind.size) == (ggml.ggml_blck_size(number), size)
            assert kind.name.lower() == ggml.ggml_type_name(number).decode().lower()


def test_file_types_have_llama_cpps_names():
    names = {
        value: name.removeprefix("LLAMA_FTYPE_").removeprefix("MOSTLY_").removeprefix("ALL_")
        for name, value in vars(LLAMA_CPP).items()
        if name.startswith("LLAMA_FTYPE_") and name != "LLAMA_FTYPE_GUESSED"
    }
    assert {number: FILE_TYPES.get(number, "").split("_MOE")[0] for number in names} == {
        number: name.removesuffix("_MOE") for number, name in names.items()
    }


def test_every_architecture_is_in_the_library():
    native = next(LIBRARIES.glob("*llama.*")).read_bytes()
    # Only the end is marked: a linker keeps “rwkv7” as the tail of “arwkv7”.
    unknown = {name for name in RECURRENT | HYBRID | set(NOT_WRITERS) if name.encode() + b"\0" not in native}
    assert unknown == set()


def test_an_architecture_keeps_one_kind_of_memory_or_does_not_write():
    assert not (RECURRENT | HYBRID) & set(NOT_WRITERS)
    assert not RECURRENT & HYBRID
    assert supports_truncation("llama")


def test_an_architecture_that_llama_cpp_lacks_is_named_when_the_model_is_loaded(tmp_path):
    newer = tmp_path / "newer.gguf"
    newer.write_bytes(DemoModel.SMALL.path.read_bytes().replace(b"llama", b"gptx9"))
    with pytest.raises(EngineError, match=r"newer.gguf has an architecture that this version cannot load: “gptx9”\."):
        LocalEngine(newer, LoadOptions(context=256))


def test_kv_types_are_ggmls(ggml):
    assert all(ggml.ggml_type_name(kind.value).decode().upper() == kind.name for kind in KvType)
