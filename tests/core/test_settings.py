"""Settings survive a bad file value by value, and a crash while they are written."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.files import tolerant_value
from baton_reasoning.core.settings import Appearance, ColourScheme, ModelChoice, Settings, SettingsFile
from baton_reasoning.core.thinking.policies.keywords import Keywords


def test_what_was_saved_is_loaded(tmp_path):
    file = SettingsFile(tmp_path / "deep" / "settings.json")
    chosen = Settings(appearance=Appearance(look=ColourScheme.DARK), models=ModelChoice(small="/models/small.gguf"))
    file.save(chosen)
    assert file.load() == chosen


DEEP = '{"run": 5, "unheard": ' + "[" * 900 + "]" * 900 + "}"
"""Python's parser reads it, and what copies or compares it would end in a RecursionError."""


@pytest.mark.parametrize("content", ["", "not json", "[1, 2]", '"text"', '{"run": 5, "models": []}', "\udcff", DEEP])
def test_a_file_that_says_nothing_usable_gives_the_defaults(tmp_path, content):
    path = tmp_path / "settings.json"
    path.write_text(content, encoding="utf-8", errors="surrogateescape")
    assert SettingsFile(path).load() == Settings()


def test_each_bad_value_falls_back_alone():
    settings = tolerant_value(
        Settings,
        {
            "appearance": {"look": "pink", "text_size": 1.5, "demo_pace": 40},  # a key that left
            "run": {
                "seed": -3,
                "top_k": 20,
                "policy": {"policy": "keywords", "n1": "many", "n2": 7, "unheard": 1},
                "limits": 3,
            },
            "window": {"page": "batch", "sidebar_width": 4},
            "from the future": True,
        },
    )
    assert settings.appearance == Appearance(text_size=1.5)
    assert (settings.run.seed, settings.run.top_k) == (0, 20)
    assert settings.run.policy == Keywords.Settings(n2=7)
    assert settings.window.page == "batch"
    gone = tolerant_value(Settings, {"run": {"seed": 3, "policy": {"policy": "agreement", "bound": -1}}}).run
    assert (gone.seed, gone.policy) == (3, Keywords.Settings()), "a policy that is not here"


NAMES = sorted({*Settings.model_fields, *Settings().run.__class__.model_fields, *Appearance.model_fields, "n1", "p"})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5),
    max_leaves=15,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=5) | JSON, st.binary(max_size=40))
def test_a_file_of_any_content_gives_settings_that_can_be_saved(tmp_path, value, other):
    for content in (json.dumps(value).encode(), other):
        (tmp_path / "settings.json").write_bytes(content)
        found = SettingsFile(tmp_path / "settings.json").load()
        SettingsFile(tmp_path / "again.json").save(found)
        assert SettingsFile(tmp_path / "again.json").load() == found


def test_a_save_that_fails_leaves_the_old_file(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("in the way of the folder")
    with pytest.raises(SettingsError, match="could not be saved"):
        SettingsFile(blocked / "settings.json").save(Settings())
    assert blocked.read_text() == "in the way of the folder"


def test_nothing_unfinished_is_left_beside_the_file(tmp_path):
    path = tmp_path / "settings.json"
    SettingsFile(path).save(Settings())
    SettingsFile(path).save(Settings(models=ModelChoice(large="x.gguf")))
    assert [file.name for file in tmp_path.iterdir()] == ["settings.json"]
    assert json.loads(path.read_text())["models"]["large"] == "x.gguf"


def test_only_two_empty_names_mean_the_demo_pair():
    assert ModelChoice().is_demo
    assert not ModelChoice(large="other.gguf").is_demo
