"""The folders of a user on each system."""

from pathlib import Path

import platformdirs
import platformdirs.macos
import platformdirs.windows
import pytest

from baton_reasoning.core.paths import Paths, folder_variable


@pytest.mark.parametrize(
    ("platform", "system", "folder"),
    [("win32", platformdirs.windows.Windows, r"D:\home"), ("darwin", platformdirs.macos.MacOS, "/home/of/me")],
)
def test_what_shares_a_folder_shares_no_name_and_a_variable_moves_it(platform, system, folder, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("sys.platform", platform)
        variables = [folder_variable(kind) for kind in ("DATA", "CONFIG", "CACHE")]
    for variable in variables:
        monkeypatch.setenv(variable, folder)
    monkeypatch.setattr(platformdirs, "PlatformDirs", system)
    paths = Paths.of_user()
    assert (paths.data, paths.config) == (Path(folder, "baton"),) * 2
    files = (paths.settings, paths.model_preferences, paths.servers, paths.store, paths.models)
    assert len({file.name.lower() for file in files}) == len(files)
    assert paths.cache.is_relative_to(Path(folder, "baton"))
