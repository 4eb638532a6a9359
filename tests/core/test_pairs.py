"""Which pairs a machine has: of the catalogue, of files, the demo pair and servers; in which order, and the best."""

from dataclasses import replace
from pathlib import Path

import pytest

from baton_reasoning.core.demo_pair import WHAT_IT_SOLVES
from baton_reasoning.core.demo_pair.costly import SWITCH, DemoFiles
from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.model_costs import ModelCost
from baton_reasoning.core.models.catalog import PublishedResult, catalog
from baton_reasoning.core.models.devices import Device, DeviceKind, Devices
from baton_reasoning.core.models.gguf import read_header
from baton_reasoning.core.models.library import FolderOrigin, LocalModel
from baton_reasoning.core.models.source import DemoModel, LocalFile, ServerUrls
from baton_reasoning.core.pairs import MOST_OF_FILES, PairKind, judge_pairs, recommended
from tests.core.models.gguf_builder import TensorSpec, values_of_a_llama, write_gguf

GIB = 2**30
OTHER_WORDS = ["<unk>", "<s>", "</s>", *"abcdefgh"]


@pytest.fixture
def judge(tmp_path, costs):
    """The pairs of a machine with these files and servers."""

    def judged(*files, ram=64, gpu=0, disk=500, servers=(), **options):
        gpus = (Device("GPU", "a GPU", DeviceKind.GPU, gpu * GIB, gpu * GIB),) if gpu else ()
        machine = Devices(ram * GIB, ram * GIB, gpus)
        headers = [read_header(file) if isinstance(file, Path) else file for file in files]
        models = [LocalModel(header, FolderOrigin.USER) for header in headers]
        return judge_pairs(machine, disk * GIB, models, costs, DemoFiles(tmp_path / "demo"), dict(servers), **options)

    return judged


@pytest.fixture
def model(tmp_path):
    """A file with so many millions of parameters."""

    def made(name, millions, **changes):
        tensors = [TensorSpec("token_embd.weight", (1024, 1024 * millions), 8)]
        return write_gguf(tmp_path / name, values_of_a_llama(**changes), tensors=tensors)

    return made


def of_files(pairs):
    return {each.large.name: each.small.name for each in pairs if each.kind is PairKind.FILES and each.evidence is None}


def test_of_the_catalogue_the_fewer_pairs_fit_the_smaller_the_machine_or_the_longer_the_context(judge):
    def large(**machine):
        return [each.large.key for each in judge(**machine) if each.evidence]

    assert large(ram=10)[-1] == "r1-qwen-7b"
    assert {*large(ram=4)} == {"gemma-3-1b"}
    assert large(ram=2) == []
    assert len(large(ram=64, gpu=80)) == len(catalog())
    assert 2 < len(large(ram=27, context=65_536)) < len(large(ram=27, context=4096))


def test_a_large_file_has_the_fastest_small_one_of_its_vocabulary_else_of_its_architecture(judge, model):
    files = {
        "large": model("large.gguf", 40),
        "half": model("half.gguf", 20),
        "small": model("small.gguf", 10),
        "smallest, of other words": model("other.gguf", 1, tokenizer__ggml__tokens=OTHER_WORDS),
    }
    assert of_files(judge(*files.values())) == {"large": "small", "half": "small", "small": "other"}
    assert of_files(judge(files["large"], files["smallest, of other words"])) == {"large": "other"}
    (alone,) = (each for each in judge(files["large"], files["half"]) if each.place == "on this machine")
    assert (alone.small.source, alone.large.source) == (LocalFile(files["half"]), LocalFile(files["large"]))
    assert alone.good_for.startswith("Two files on this machine that share the vocabulary.")
    assert "too weak" in alone.good_for
    more_than_half = model("more.gguf", 21)
    assert of_files(judge(files["large"], more_than_half)) == {}
    stranger = model("stranger.gguf", 1, general__architecture="qwen2", tokenizer__ggml__tokens=OTHER_WORDS)
    assert of_files(judge(files["large"], stranger)) == {}


def test_a_small_file_that_is_strong_enough_comes_before_a_faster_one(judge, model):
    weak, strong, large = (read_header(model(f"{name}.gguf", size)) for size, name in enumerate(("a", "b", "c"), 1))
    headers = [weak, replace(strong, parameters=600_000_000), replace(large, parameters=7_000_000_000)]
    pairs = judge(*headers, servers={"http://a:1": "office"})
    assert of_files(pairs)["c"] == "b"
    assert pairs[-1].name == "b with office"


def test_what_the_catalogue_pairs_is_not_listed_twice(judge, model):
    pair = next(each for each in catalog() if each.large.key == "r1-qwen-7b")
    small, large = model(pair.small.file, 1), model(pair.large.file, 2)
    pairs = judge(small, large)
    assert of_files(pairs) == {}
    (here,) = (each for each in pairs if each.large.source == LocalFile(large))
    assert (here.missing, here.place, here.evidence) == ([], "on this machine", pair.evidence)
    assert of_files(judge(large, model("mine.gguf", 1))) == {large.stem: "mine"}, "its own small model is not here"


def test_at_most_five_pairs_of_files_are_listed_those_with_the_strongest_models(judge, model):
    files = [model("small.gguf", 1), *(model(f"large-{size}.gguf", size) for size in range(2, 9))]
    assert len(of_files(judge(*files))) == MOST_OF_FILES
    assert "large-8" in of_files(judge(*files))
    assert "large-2" not in of_files(judge(*files))


def test_all_are_sorted_by_the_time_of_an_answer_and_servers_come_last(judge, model, costs):
    small, large = model("small.gguf", 1), model("large.gguf", 2)
    pairs = judge(small, large, servers={"http://office:8080": "office"})
    assert {each.kind for each in pairs} == {*PairKind}
    assert pairs[-1].kind is PairKind.SERVER
    seconds = [each.answer_seconds for each in pairs[:-1]]
    assert seconds == sorted(seconds)
    for file in (small, large):
        costs.keep(ModelCard("m", "", 1024, path=file), ModelCost(decode=60, further=60, prefill=60))
    slowest = judge(small, large, gpu=80)[0]
    assert (slowest.large.file, slowest.is_measured) == (large, True), "on a GPU the only one of a known time"


def test_a_server_stands_beside_the_fastest_file_and_its_time_is_not_known(judge, model):
    files = [model("small.gguf", 1), model("large.gguf", 2)]
    servers = {"http://a:1,http://b:1": "office", "http://c:1#big": "http://c:1#big"}
    rows = [each for each in judge(*files, servers=servers) if each.kind is PairKind.SERVER]
    assert [each.name for each in rows] == ["small with office", "small with http://c:1#big"]
    assert rows[0].large.source == ServerUrls(("http://a:1", "http://b:1"))
    assert (rows[0].answer_seconds, rows[0].time, rows[0].place) == (None, None, "server")
    assert 0 < rows[0].memory < GIB, "of the small model"
    assert all(each.kind is not PairKind.SERVER for each in judge(servers=servers)), "there is no small model"


def test_the_demo_pair_is_a_row_of_the_size_that_it_is_loaded_with(judge, costs, tmp_path, monkeypatch):
    monkeypatch.delenv(SWITCH)

    def demo():
        return next(each for each in judge() if each.kind is PairKind.DEMO)

    row = demo()
    assert (row.small.source, row.large.source) == (DemoModel.SMALL, DemoModel.LARGE)
    assert row.good_for.endswith(WHAT_IT_SOLVES)
    assert 400e6 < row.memory < 600e6
    assert 0.2 < row.time < 0.5
    assert not row.is_measured
    assert not (tmp_path / "demo").exists(), "nothing is made before it is used"
    files = DemoFiles(tmp_path / "demo")
    files.make()
    for model, decode in zip(DemoModel, (0.001, 0.01), strict=True):
        cost = ModelCost(decode=decode, further=decode, prefill=0)
        costs.keep(ModelCard("m", "", 1024, source=model, path=files.path(model)), cost)
    assert demo().is_measured
    assert demo().answer_seconds == pytest.approx(2000 * (0.8 * 0.001 + 0.2 * 0.01))


def test_neither_the_demo_pair_nor_a_server_is_recommended_and_files_are_where_no_published_pair_fits(judge, model):
    assert recommended(judge(ram=2, servers={"http://a:1": "office"})) is None
    files = [model("small.gguf", 1), model("large.gguf", 8)]
    best = recommended(judge(*files, ram=2, servers={"http://a:1": "office"}))
    assert best
    assert (best.small.name, best.large.name) == ("small", "large")
    published = recommended(judge(*files, ram=10))
    assert published
    assert published.evidence is PublishedResult.PAPER
