"""Models and servers by name: the catalogue, the Hub, deletion, which pair runs, what `profile` and `serve` load."""

import json
import re
import signal
import subprocess
import sys
import tomllib
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import openai
import pytest

from baton_reasoning.app.terminal import servers
from baton_reasoning.app.terminal.models import source_of
from baton_reasoning.app.terminal.pair import describe
from baton_reasoning.app.terminal.servers import known_server
from baton_reasoning.core import secrets
from baton_reasoning.core.demo_pair import READY_PROBLEMS, SMALL_MODEL, DemoProblem, held_out_problems
from baton_reasoning.core.engines.base import ModelCard, Placement
from baton_reasoning.core.engines.remote.billing import Cap, Prices
from baton_reasoning.core.engines.remote.known_servers import KnownServer, KnownServers
from baton_reasoning.core.errors import SettingsError
from baton_reasoning.core.grading.extract import extract_answer
from baton_reasoning.core.model_costs import ModelCost, ModelCosts
from baton_reasoning.core.models.catalog import catalog_models
from baton_reasoning.core.models.devices import Devices
from baton_reasoning.core.models.source import HubFile, LocalFile, ServerUrls
from baton_reasoning.core.settings import ModelChoice, Settings, SettingsFile
from baton_reasoning.core.text import shell_command
from baton_reasoning.core.thinking.cues import Category, parse_lexicon
from tests.app.terminal.conftest import REPOSITORY, Keyboard
from tests.core.models.ollama_store import put_model
from tests.fakes.faulty_server import FaultyRouter, FaultyServer, stream
from tests.servers.llama_server import KEY, LlamaServer, ServerOptions

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
MODEL = f"hf:{REPOSITORY}"
PROBLEM = DemoProblem(60_836).question
URL = "https://office:8080"


@pytest.fixture(autouse=True)
def nothing_else(paths, monkeypatch):
    for variable in ("HOME", "USERPROFILE"):  # the latter on Windows
        monkeypatch.setenv(variable, str(paths.models.parent / "home"))
    for variable in ("HF_HOME", "HF_HUB_CACHE", "LLAMA_CACHE", "XDG_CACHE_HOME", "HF_TOKEN"):
        monkeypatch.delenv(variable, raising=False)


@pytest.fixture
def add(say):
    return lambda *words: say("servers", "add", *words)


# Models ---------------------------------------------------------------------------------------------------------------


def test_a_model_is_found_downloaded_once_listed_and_deleted(hub, paths, trash, monkeypatch, baton, say, refused):
    (found,) = say("models", "search", "tiny", "--json")
    assert json.loads(found)["repository"] == REPOSITORY
    (name,) = say("models", "get", MODEL)
    file = Path(name)
    assert file == paths.models / "tiny" / "demo-GGUF" / "demo-Q4_K_M.gguf"
    assert file.read_bytes() == SMALL_MODEL.read_bytes()
    say("models", "get", f"{MODEL}:q4_k_m")
    got = json.loads(*say("models", "get", MODEL, "--json"))
    assert (got["file"], got["bytes"]) == (name, SMALL_MODEL.stat().st_size)
    assert len(hub.file_requests()) == 1, "it is here already"
    assert name in {json.loads(row)["file"] for row in say("models", "list", "--json")}
    monkeypatch.setattr(sys, "stdin", Keyboard("n\n"))
    say("models", "rm", MODEL, code=1)
    assert file.exists()
    removed = baton("models", "rm", MODEL, "--yes")
    assert (removed.returncode, [file.name for file in trash.iterdir()]) == (0, [file.name])
    assert "is in the system's trash; emptying it frees" in removed.stderr
    refused("models", "rm", MODEL, "--yes")
    say("models", "get", MODEL)
    say("models", "rm", MODEL, "--yes", "--for-good")
    assert not file.exists()


def test_a_model_of_ollama_is_listed_by_its_name_runs_by_it_and_stays(paths, say, baton, refused, trash):
    store = paths.models.parent / "home" / ".ollama" / "models"
    blob = put_model(store, "registry.ollama.ai/library/qwen3/8b", SMALL_MODEL.read_bytes())
    broken = put_model(store, "hf.co/owner/m/1b", b"gone")
    (row,) = (row for row in map(json.loads, say("models", "list", "--json")) if row["folder"] == "Ollama")
    assert (row["name"], row["file"]) == ("qwen3:8b", str(blob))
    listed = baton("models", "list")
    assert "qwen3:8b" in {line.split()[0] for line in listed.stdout.splitlines()}
    assert "hf.co/owner/m:1b is not a GGUF file" in listed.stderr
    solved = baton("solve", PROBLEM, "--small", "qwen3:8b", "--large", "demo", "--policy", "never", "-n", "5")
    assert solved.returncode == 3, solved.stderr
    SettingsFile(paths.settings).save(Settings(models=ModelChoice(small=LocalFile(blob), large=LocalFile(SMALL_MODEL))))
    solved = baton("solve", "1+1?", "-n", "5")
    assert (solved.returncode, f"As chosen in the window: qwen3:8b and {SMALL_MODEL}" in solved.stderr) == (3, True)
    for way in ((), ("--yes",), ("--yes", "--for-good")):
        assert "qwen3:8b belongs to Ollama" in refused("models", "rm", "qwen3:8b", *way)
    assert (blob.read_bytes(), list(trash.iterdir())) == (SMALL_MODEL.read_bytes(), [])
    broken.unlink()
    sentence = refused("solve", PROBLEM, "--small", "hf.co/owner/m:1b", "--large", "demo")
    assert sentence.startswith("baton: Ollama's hf.co/owner/m:1b cannot be used: a file cannot be read (")
    assert "#hf.co/owner/m:1b" in sentence


def test_an_address_that_is_no_hub_is_one_sentence(refused):
    for address in ("nonsense", "ftp://mirror.example", "https:", "http://[::1"):
        sentence = refused("models", "get", MODEL, code=1, HF_ENDPOINT=address)
        assert re.match(rf"baton: {re.escape(address)} .*address of.*mirror", sentence)


def test_a_run_downloads_its_model_only_after_a_yes(hub, say, refused, monkeypatch):
    line = ("solve", PROBLEM, "--small", MODEL, "--large", "demo", "--policy", "never", "-n", "5", "--steps")
    assert "Nobody can be asked here. Add --yes." in refused(*line)
    monkeypatch.setattr(sys, "stdin", Keyboard("n\n"))
    assert "was not downloaded" in refused(*line, code=1)
    monkeypatch.setattr(sys, "stdin", Keyboard(""))  # Ctrl+D
    assert "Stopped" in refused(*line, code=130)
    assert hub.file_requests() == []
    assert any(step.startswith("● ") for step in say(*line, "--yes", code=3))


def test_pairs_of_the_catalogue_are_named_as_solve_takes_them_with_their_time(say, monkeypatch, paths):
    large_machine = Devices(ram_total=2**36, ram_free=2**36)
    monkeypatch.setattr("baton_reasoning.app.terminal.models.find_devices", lambda: large_machine)
    demo, *others = map(json.loads, say("models", "pairs", "--context", "256", "--json"))
    assert (demo["small"], demo["large"], demo["bytes"]) == ("demo:small", "demo:large", 0)
    for pair in others:
        assert isinstance(source_of(pair["small"]), HubFile)
        assert isinstance(source_of(pair["large"]), HubFile)
        assert 0 < pair["time"] < 2
        assert not pair["measured"]
    for key, seconds in (("r1-qwen-1.5b", 0.1), ("r1-qwen-7b", 0.2)):
        model = catalog_models()[key]
        file = paths.models / model.repository / model.file
        file.parent.mkdir(parents=True)
        file.write_bytes(SMALL_MODEL.read_bytes())
        cost = ModelCost(decode=seconds, further=seconds, prefill=0)
        ModelCosts(paths.model_costs).keep(ModelCard(model.name, "", 1000, path=file), cost)
    first, second, *_ = say("models", "pairs")[1:]
    assert "60%" in first, "0.8 × 0.1 s and 0.2 × 0.2 s, of 0.2 s"
    assert ("~" in first, "~" in second) == (False, True), "measured where both were loaded before"


def test_a_model_that_got_less_than_was_asked_for_says_so(capsys):
    placed = Placement((), 128, 2, "f16", "with 12 of 31 layers on the GPU")
    describe(ModelCard("SmolLM2", "", 2048, placement=placed), verbose=False)
    assert capsys.readouterr().err.splitlines() == [
        "baton: SmolLM2: 2,048 tokens of context",
        "baton: SmolLM2 was loaded with 12 of 31 layers on the GPU: out of memory.",
    ]


def test_every_setting_has_its_meaning_bounds_default_and_presets(say):
    said = " ".join(say("settings", "c_most", "--policy", "keywords")[-1].split())
    assert said == "c_most keywords Maximum allowance. Maximum of c. [30; at least 1; paper 15]"
    names = {json.loads(line)["name"] for line in say("settings", "--json")}
    assert {"n1", "tau", "threshold", "max_seconds", "temperature", "seed"} <= names
    listed = {(row["policy"], row["preset"]) for row in map(json.loads, say("policies", "--json"))}
    assert ("keywords", "paper") in listed
    assert {policy for policy, _ in listed} <= {line.partition(" ")[0] for line in say("policies")}


def test_a_model_is_profiled_and_its_cue_list_written(tmp_path, say):
    out = tmp_path / "cues.json"
    profile = ("profile", str(SMALL_MODEL), "--problems", str(READY_PROBLEMS), "--threads", "1")
    said = "\n".join(say(*profile, "--limit", "4", "--max-tokens", "300", "--out", str(out)))
    assert "boundaries; after" in said
    assert "known cue" in said
    assert "hold on" in parse_lexicon(out.read_text()).cues[Category.REFLECTION]
    (line,) = say(*profile, "--limit", "1", "--max-tokens", "30", "--json")
    assert "too few to judge" in json.loads(line)["advice"]


# Servers --------------------------------------------------------------------------------------------------------------


def test_every_option_of_a_server_is_kept_until_another_is_given(add, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "chat.jinja").write_text("a template")
    (tmp_path / "ca.pem").write_text("a certificate")
    add(
        *("office", URL, "--api-key-env", "OFFICE_KEY", "--ca", "ca.pem", "--proxy", "http://proxy:1"),
        *("--any-certificate", "--template", "chat.jinja", "--prefetch", "on"),
        *("--prices", "0.5,0.1,2,EUR", "--cap-tokens", "9000", "--cap-money", "0.25"),
    )
    add("office", URL, "--prefetch", "off", "--cap-tokens", "0")
    monkeypatch.chdir("/")
    monkeypatch.setenv("OFFICE_KEY", "secret")
    address, options = known_server(URL)
    assert (address.url, address.key, address.access.authority) == (URL, "secret", tmp_path / "ca.pem")
    assert (address.access.proxy, address.access.any_certificate) == ("http://proxy:1", True)
    prices = Prices(read=0.5, reused=0.1, written=2.0, currency="EUR")
    kept = (options.template, options.supports_prefetch, options.prices, options.cap)
    assert kept == ("a template", False, prices, Cap(tokens=0, money=0.25))


def test_a_name_stands_for_its_addresses_until_they_are_removed_and_each_keeps_what_is_not_given(add, baton, say):
    add("office", "http://two:2", "--prices", "1,1,1", "--cap-money", "2")
    added = baton("servers", "add", "office", f"{URL}#one,http://two:2", "--prefetch", "off")
    assert f"office stands for http://two:2, {URL}#one." in added.stderr
    one, two = known_server(f"{URL}#one").options, known_server("http://two:2").options
    assert (one.cap.money, two.cap.money, two.prices.written) == (0, 2, 1)
    assert (one.supports_prefetch, two.supports_prefetch) == (False, False)
    assert source_of("office") == ServerUrls(("http://two:2", f"{URL}#one"))
    renamed = baton("servers", "add", "home", "http://two:2")
    assert "home stands for http://two:2 and replaces office. To test it" in renamed.stderr
    listed = [json.loads(line) for line in say("servers", "list", "--json")]
    assert {(each["name"], each["url"]) for each in listed} == {("office", f"{URL}#one"), ("home", "http://two:2")}
    say("servers", "rm", "http://two:2")
    assert source_of("office") == ServerUrls((f"{URL}#one",))
    say("servers", "rm", "office")
    with pytest.raises(SettingsError, match="no file, model or server called office"):
        source_of("office")
    assert "To add one: baton servers add NAME URL" in baton("servers", "list").stderr


def test_the_key_of_a_server_is_in_the_keyring_its_own_variable_or_that_of_all(add, say, paths, monkeypatch):
    KnownServers(paths.servers).keep({"http://home:1": KnownServer(has_key=True)}, "secret")
    add("office", URL, "--api-key-env", "OFFICE_KEY")
    header, home, office = (line.split() for line in say("servers", "list"))
    assert header == ["name", "address", "key"]
    assert home == ["http://home:1", "keyring"]
    assert office == ["office", URL, "$OFFICE_KEY"]
    monkeypatch.setattr(secrets, "_taken", {})
    assert known_server("http://other:1").address.key is None
    monkeypatch.setenv(servers.KEY_VARIABLE, "another")
    assert known_server("http://other:1").address.key == "another"


def test_the_check_lists_the_models_of_a_router(baton):
    models = {"one": ["unloaded", "unloaded", "unloaded", "loading", "loaded"], "other": ["loaded"]}
    with FaultyRouter(stream(), models=models) as server:
        said = baton("servers", "check", f"{server.url}#one")
        assert said.returncode == 0
        assert "is loading one" in said.stderr
        assert "has other (loaded)" in said.stdout
        said = baton("servers", "check", server.url, "--json")
        assert said.returncode == 1
        found = json.loads(said.stdout)
        assert "Write its name after the address" in found["problem"]
        assert found["models"] == [{"name": "one", "status": "loaded"}, {"name": "other", "status": "loaded"}]


def test_the_check_without_an_argument_tests_the_list(add, baton, refused):
    """Wrong settings of one server do not keep the others from being tested."""
    with FaultyServer(stream()) as gone:
        pass
    with FaultyServer(stream()) as good:
        assert "There is no server yet." in refused("servers", "check")
        both = baton("servers", "check", f"{good.url}, {gone.url}")
        add("gone", gone.url)
        add("locked", "http://home:1", "--api-key-env", "UNSET_KEY")
        add("good", good.url)
        listed = baton("servers", "check")
    assert (both.returncode, listed.returncode) == (1, 1)
    for said in (both, listed):
        for finding in ("✓ reachable", "✓ no key needed", "✓ serves bytes", "✗ not reachable"):
            assert said.stdout.count(finding) == 1
        assert "Nothing answers" in said.stderr
    assert "home:1" in listed.stdout.splitlines()
    assert listed.stderr.count("The environment variable UNSET_KEY is not set.") == 1


def test_a_proxy_that_cannot_be_used_is_a_sentence(add, baton):
    for proxy in ("socks9://x", "http://[::1"):
        add("office", "http://127.0.0.1:9", "--proxy", proxy)
        own = baton("servers", "check", "office")
        of_all = baton("servers", "check", "https://192.0.2.1", HTTPS_PROXY=proxy)
        for host, said in (("127.0.0.1:9", own), ("192.0.2.1", of_all)):
            assert (said.returncode, f"The proxy for {host} cannot be used" in said.stderr) == (1, True)


def test_a_llama_server_with_a_key_is_used_by_its_name(add, baton, say, monkeypatch):
    monkeypatch.setenv("OFFICE_KEY", KEY)
    with LlamaServer(ServerOptions(str(SMALL_MODEL))) as server:
        add("office", server.url, "--api-key-env", "OFFICE_KEY")
        assert "✓ key accepted" in "\n".join(say("servers", "check", "office"))
        solved = baton("solve", PROBLEM, "--policy", "always", "--large", "office", "-n", "5")
    assert solved.returncode == 3, solved.stderr
    bill = rf"{urlsplit(server.url).netloc}: \d requests?, \d+ tokens sent, .* 5 written"
    assert re.search(bill, solved.stderr)


# The endpoint ---------------------------------------------------------------------------------------------------------


@contextmanager
def serving(*options):
    """`baton serve` as a real process: the process, what it has said, and the `openai` package as its client."""
    words = [sys.executable, "-m", "baton_reasoning", "serve", "--port", "0", *options]
    with subprocess.Popen(words, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, encoding="utf-8") as process:
        assert process.stderr
        try:
            said: list[str] = []
            while not (said and (found := re.search(r"http://\S+/v1", said[-1]))):
                said.append(next(process.stderr))
            with openai.OpenAI(base_url=found.group(), api_key="none", max_retries=0) as client:
                yield process, said, client
        finally:
            process.kill()


@pytest.mark.real_models
def test_the_endpoint_answers_until_it_is_interrupted():
    problem = next(held_out_problems(seed=11))
    with serving("--set", "temperature=0", "-v") as (process, _, client):
        assert "chosen" in [model.id for model in client.models.list()]
        messages = [{"role": "user", "content": problem.question}]
        response = client.chat.completions.create(model="baton", messages=messages, seed=1)
        assert extract_answer(response.choices[0].message.content or "") == problem.answer
        client.close()
        if sys.platform != "win32":  # where a program cannot interrupt another one alone
            process.send_signal(signal.SIGINT)
            asked, answered, stopped = process.stderr.read().splitlines()
            assert asked.startswith("baton: GET /v1/models: 200, ")
            assert re.fullmatch(r"baton: POST \S+: 200, \S+ s, baton, \d+ \+ \d+ tokens, end of text", answered)
            assert stopped == "baton: Stopped."
            assert process.wait() == 130


@pytest.mark.real_models
def test_the_endpoint_says_which_policy_the_pair_decided_on_and_answers_by_it(smollm2, gemma):
    models = ("--small", str(smollm2), "--large", str(gemma), "--context", "256", "-n", "3")
    with serving(*models) as (_, said, client):
        assert "".join(said).count("was not trained to reason: Baton hands over where it is unsure.") == 1
        messages = [{"role": "user", "content": "What is 2 + 2?"}]
        response = client.chat.completions.create(model="chosen", messages=messages)
        assert response.model_extra["baton"]["policy"] == "token-entropy"


def test_without_its_packages_the_endpoint_names_the_extra_of_this_distribution(monkeypatch, refused):
    """`baton` alone is another project, which would overwrite this one."""
    monkeypatch.setitem(sys.modules, "starlette", None)
    for name in [name for name in sys.modules if name.startswith(("starlette.", "baton_reasoning.core.serve."))]:
        monkeypatch.delitem(sys.modules, name)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert "serve" in project["optional-dependencies"]
    assert f"-m pip install {shell_command([project['name'] + '[serve]'])}" in refused("serve")
