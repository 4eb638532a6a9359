"""Models by name: the catalogue, the Hub with cuts, deletion, and which pair runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from baton_reasoning.app.cli import main
from baton_reasoning.app.terminal.models import source_of
from baton_reasoning.app.terminal.pair import describe
from baton_reasoning.core.demo_pair import LARGE_MODEL, SMALL_MODEL, DemoProblem
from baton_reasoning.core.engines.base import ModelCard, Placement
from baton_reasoning.core.model_costs import ModelCost, ModelCosts
from baton_reasoning.core.models.catalog import catalog_models
from baton_reasoning.core.models.devices import Devices
from baton_reasoning.core.models.options import DemoModel, HubFile, LocalFile, ServerUrls
from baton_reasoning.core.paths import Paths
from baton_reasoning.core.settings import ModelChoice, Settings, SettingsFile
from baton_reasoning.core.thinking.trace_json import trace_from_lines
from tests.core.models.hub_server import running_hub

pytestmark = pytest.mark.slow

REPOSITORY = "tiny/demo-GGUF"
PROBLEM = DemoProblem(60_836).question


@pytest.fixture(autouse=True)
def paths(tmp_path, monkeypatch):
    paths = Paths.under(tmp_path)
    monkeypatch.setattr(Paths, "of_user", lambda: paths)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for variable in ("HF_HOME", "HF_HUB_CACHE", "LLAMA_CACHE", "XDG_CACHE_HOME", "HF_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    return paths


@pytest.fixture
def hub(monkeypatch):
    content = SMALL_MODEL.read_bytes()
    with running_hub() as server:
        server.files[REPOSITORY] = {"demo-Q4_K_M.gguf": content, "demo-Q8_0.gguf": content + b"\0"}
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        yield server


def test_a_model_is_found_downloaded_once_listed_and_deleted(hub, paths, capsys):
    assert main(["models", "search", "tiny", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["repository"] == REPOSITORY
    assert main(["models", "get", f"hf:{REPOSITORY}"]) == 0
    file = Path(capsys.readouterr().out.strip())
    assert file == paths.models / "tiny" / "demo-GGUF" / "demo-Q4_K_M.gguf"
    assert file.read_bytes() == SMALL_MODEL.read_bytes()
    assert main(["models", "get", f"hf:{REPOSITORY}:q4_k_m"]) == 0
    assert len(hub.file_requests()) == 1, "it is here already"
    capsys.readouterr()
    assert main(["models", "list", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert str(file) in {row["file"] for row in rows}
    assert main(["models", "rm", f"hf:{REPOSITORY}", "--yes", "--for-good"]) == 0
    assert not file.exists()
    assert main(["models", "rm", f"hf:{REPOSITORY}", "--yes"]) == 2


@pytest.mark.parametrize("address", ["nonsense", "ftp://mirror.example", "https:", "http://[::1"])
def test_an_address_that_is_no_hub_is_one_sentence(address, monkeypatch, capsys):
    monkeypatch.setenv("HF_ENDPOINT", address)
    assert main(["models", "get", f"hf:{REPOSITORY}"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith(f"baton: {address} ")
    assert "address of" in said
    assert "mirror" in said


def test_a_deleted_model_is_in_the_trash_and_where_there_is_none_the_way_on_is_named(hub, trash, monkeypatch, capsys):
    assert main(["models", "get", f"hf:{REPOSITORY}"]) == 0
    assert main(["models", "rm", f"hf:{REPOSITORY}", "--yes"]) == 0
    assert [file.name for file in trash.iterdir()] == ["demo-Q4_K_M.gguf"]
    assert "is in the system's trash; emptying it frees" in capsys.readouterr().err

    def none_here(file: Path) -> None:
        raise OSError("There is no trash")

    monkeypatch.setattr("send2trash.send2trash", none_here)
    assert main(["models", "get", f"hf:{REPOSITORY}"]) == 0
    assert main(["models", "rm", f"hf:{REPOSITORY}", "--yes"]) == 2
    assert "There is no trash. Its disk may have none. --for-good needs no trash." in capsys.readouterr().err


def test_a_run_downloads_its_model_only_after_a_yes(hub, capsys):
    models = ["--small", f"hf:{REPOSITORY}", "--large", "demo"]
    line = ["solve", PROBLEM, *models, "--policy", "never", "-n", "5", "--steps"]
    assert main(line) == 1
    assert "Add --yes." in capsys.readouterr().err
    assert hub.file_requests() == []
    assert main([*line, "--yes"]) == 3
    assert "● " in capsys.readouterr().out


def test_pairs_of_the_catalogue_are_named_as_solve_takes_them(capsys):
    assert main(["models", "pairs", "--context", "256", "--json"]) == 0
    for line in capsys.readouterr().out.splitlines():
        pair = json.loads(line)
        assert isinstance(source_of(pair["small"]), HubFile)
        assert isinstance(source_of(pair["large"]), HubFile)
        assert 0 < pair["time"] < 2
        assert not pair["measured"]


def test_the_time_of_a_pair_is_the_one_measured_here_where_it_was_loaded_before(capsys, monkeypatch, paths):
    monkeypatch.setattr(
        "baton_reasoning.app.terminal.models.find_devices", lambda: Devices(ram_total=2**36, ram_free=2**36)
    )
    for key, seconds in (("r1-qwen-1.5b", 0.1), ("r1-qwen-7b", 0.2)):
        model = catalog_models()[key]
        file = paths.models / model.repository / model.file
        file.parent.mkdir(parents=True)
        file.write_bytes(b"GGUF")
        cost = ModelCost(decode=seconds, further=seconds, prefill=0)
        ModelCosts(paths.model_costs).keep(ModelCard(model.name, "", 1000, path=file), cost)
    assert main(["models", "pairs"]) == 0
    first, second, *_ = capsys.readouterr().out.splitlines()[1:]
    assert "60%" in first, "0.8 × 0.1 s and 0.2 × 0.2 s, of 0.2 s"
    assert "~" not in first
    assert "~" in second


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("", DemoModel.SMALL),
        ("demo:large", DemoModel.LARGE),
        (str(SMALL_MODEL), LocalFile(SMALL_MODEL)),
        ("hf:owner/name:Q4_K_M", HubFile("owner/name", "Q4_K_M")),
        ("nowhere.gguf", LocalFile(Path("nowhere.gguf"))),
        ("localhost:8080", ServerUrls(("http://localhost:8080",))),
        ("localhost:9931#small", ServerUrls(("http://localhost:9931#small",))),
    ],
)
def test_a_model_is_named_in_the_usual_ways(text, source):
    assert source_of(text) == source


def test_the_options_of_llama_cpp_name_the_same_models(capsys):
    line = ["solve", PROBLEM, "-m", str(LARGE_MODEL), "-md", str(SMALL_MODEL)]
    line += "-c 900 -t 1 -s 3 -n 2 --json".split()
    assert main(line) == 3
    trace = trace_from_lines(capsys.readouterr().out.splitlines())
    assert trace.started
    assert trace.started.small
    assert trace.started.large
    assert (trace.started.small.name, trace.started.large.name) == ("Baton demo small", "Baton demo large")
    assert trace.started.small.context == 900
    assert trace.started.settings["seed"] == 3


def test_without_names_the_pair_of_the_window_runs(paths, capsys):
    chosen = ModelChoice(small=LocalFile(SMALL_MODEL), large=LocalFile(SMALL_MODEL))
    SettingsFile(paths.settings).save(Settings(models=chosen))
    assert main(["solve", "1+1?", "-n", "5"]) == 3
    said = capsys.readouterr().err
    assert f"As chosen in the window: {SMALL_MODEL} and {SMALL_MODEL}" in said
    assert "demo pair" not in said


def test_a_model_that_got_less_than_was_asked_for_says_so(capsys):
    placed = Placement((), 128, 2, "f16", "with 12 of 31 layers on the GPU")
    describe(ModelCard("SmolLM2", "", 2048, placement=placed), verbose=False)
    assert capsys.readouterr().err.splitlines() == [
        "baton: SmolLM2: 2,048 tokens of context",
        "baton: SmolLM2 was loaded with 12 of 31 layers on the GPU: out of memory.",
    ]


def test_every_setting_has_its_meaning_bounds_default_and_presets(capsys):
    assert main(["settings", "c_most", "--policy", "keywords"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "In brackets: the default; the allowed values; presets with another value.",
        "",
        "Policy keywords",
        "name    meaning",
        "c_most  Maximum allowance. Maximum of c. [30; at least 1; paper 15]",
        "",
    ]
    assert main(["settings", "--json"]) == 0
    names = {json.loads(line)["name"] for line in capsys.readouterr().out.splitlines()}
    assert {"n1", "tau", "threshold", "max_seconds", "temperature", "seed"} <= names
    assert main(["policies"]) == 0
    assert "first-token-entropy" in capsys.readouterr().out
