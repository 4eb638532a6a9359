"""Settings survive a bad file value by value; files are private, and keys stay in the keyring or in memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.files import make_private, tolerant_value
from baton_reasoning.core.run import RunSettings
from baton_reasoning.core.secrets import SERVICE, Keeping, Secrets, take_key
from baton_reasoning.core.settings import Appearance, ColourScheme, ModelChoice, Settings, SettingsFile
from baton_reasoning.core.thinking.policies.keywords import Keywords
from tests.fakes.full_disk import a_full_disk
from tests.fakes.keyrings import NO_KEYRING, MemoryKeyring
from tests.systems import posix_only


def test_what_was_saved_is_loaded_without_anything_unfinished_and_stays_if_the_next_save_fails(tmp_path):
    file = SettingsFile(tmp_path / "deep" / "settings.json")
    file.save(Settings())
    small = str(Path("/models/small.gguf"))
    chosen = Settings(appearance=Appearance(look=ColourScheme.DARK), models=ModelChoice(small=small))
    file.save(chosen)
    assert file.load() == chosen
    assert json.loads(file.path.read_text())["models"]["small"] == small
    with a_full_disk(100), pytest.raises(SettingsError, match="could not be saved"):
        file.save(Settings())
    assert file.load() == chosen
    assert [path.name for path in file.path.parent.iterdir()] == ["settings.json"]


def test_each_bad_value_falls_back_alone():
    policy = {"policy": "keywords", "n1": "many", "n2": 7, "gone": 1}
    stored = {
        "appearance": {"look": "pink", "text_size": 1.5, "demo_pace": 40},  # a key that left
        "run": {"seed": -3, "top_k": 20, "policy": policy, "limits": 3},
        "window": {"page": "batch", "sidebar_width": 4},
        "from the future": True,
    }
    found = tolerant_value(Settings, stored)
    assert found.appearance == Appearance(text_size=1.5)
    assert (found.run.seed, found.run.top_k) == (0, 20)
    assert found.run.policy == Keywords.Settings(n2=7)
    assert found.window.page == "batch"
    stored = {"seed": 3, "top_k": -1, "policy": {"policy": "agreement", "bound": 1}}
    assert RunSettings.stored(stored) == RunSettings(seed=3), "its policy is not here"
    assert stored == {"seed": 3, "top_k": -1, "policy": {"policy": "agreement", "bound": 1}}, "it stays stored"


NAMES = sorted({*Settings.model_fields, *type(Settings().run).model_fields, *Appearance.model_fields, "n1", "p"})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=15,
)
DEEP = b'{"run": 5, "unheard": ' + b"[" * 900 + b"]" * 900 + b"}"
"""Python's parser reads it, and what copies or compares it would end in a RecursionError."""


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=5) | JSON, st.binary(max_size=40))
@example({}, DEEP)
def test_a_file_of_any_content_gives_settings_that_can_be_saved_the_defaults_where_it_has_none(tmp_path, value, other):
    for content in (json.dumps(value).encode(), other):
        (tmp_path / "settings.json").write_bytes(content)
        found = SettingsFile(tmp_path / "settings.json").load()
        assert isinstance(value, dict) or found == Settings()
        SettingsFile(tmp_path / "again.json").save(found)
        assert SettingsFile(tmp_path / "again.json").load() == found


@posix_only("permissions of files, and pipes that are files")
def test_only_a_file_becomes_private_and_not_what_a_link_leads_to(tmp_path):
    readable, link, nowhere = tmp_path / "readable", tmp_path / "link", tmp_path / "nowhere"
    pipe, folder = tmp_path / "pipe", tmp_path / "folder"
    readable.touch()
    if sys.platform != "win32":
        os.mkfifo(pipe)
    folder.mkdir()
    link.symlink_to(readable)
    nowhere.symlink_to(tmp_path / "missing")
    others = (readable, pipe, folder)
    for path in others:
        path.chmod(0o755)
    for path in (link, nowhere, pipe, folder):
        make_private(path)
    assert [path.stat().st_mode & 0o777 for path in others] == [0o755] * 3
    assert not (tmp_path / "missing").exists()
    for path in (readable, tmp_path / "missing"):
        make_private(path)
        assert path.stat().st_mode & 0o777 == 0o600


def test_a_key_is_kept_in_the_keyring_until_it_is_forgotten():
    ring = MemoryKeyring()
    assert Secrets(ring).keep("office:8080", "abc") is Keeping.KEYRING
    assert ring.held == {(SERVICE, "office:8080"): "abc"}
    secrets = Secrets(ring)
    assert secrets.find("office:8080") == "abc"
    for _ in range(2):
        secrets.forget("office:8080")
        assert secrets.find("office:8080") is None
    assert not ring.held
    with pytest.raises(SettingsError, match="did not forget"):
        Secrets(MemoryKeyring(locked=True)).forget("office:8080")


PLAIN = type("PlaintextKeyring", (MemoryKeyring,), {"__module__": "keyrings.alt.file"})
"""As those of keyrings.alt, which are used wherever nothing better is installed."""


@pytest.mark.parametrize("ring", [NO_KEYRING, MemoryKeyring(locked=True), PLAIN()])
def test_where_no_keyring_can_be_used_a_key_is_kept_for_the_session_and_that_is_said(ring):
    secrets = Secrets(ring)
    assert secrets.keep("office:8080", "abc") is Keeping.SESSION
    assert "until Baton is closed" in Keeping.SESSION.value
    assert secrets.find("office:8080") == "abc"
    assert Secrets(ring).find("office:8080") is None
    assert not getattr(ring, "held", None)


def test_a_key_from_the_environment_is_not_inherited_by_child_processes(monkeypatch):
    monkeypatch.setenv("BATON_TEST_KEY", "secret-of-a-test")
    assert take_key("BATON_TEST_KEY") == "secret-of-a-test"
    program = [sys.executable, "-c", "import os; print(dict(os.environ))"]
    assert b"secret-of-a-test" not in subprocess.run(program, capture_output=True, check=True).stdout
    assert take_key("BATON_TEST_KEY") == "secret-of-a-test", "it is asked for once for each server"
    with pytest.raises(SettingsError, match="BATON_NO_KEY is not set"):
        take_key("BATON_NO_KEY")
