"""The distributions: the source builds, and what is installed works beside others, and can be extended."""

import json
import shutil
import site
import subprocess
import sys
import tarfile
from email.parser import Parser
from pathlib import Path

import pytest

from baton_reasoning.core.demo_pair import held_out_problems
from baton_reasoning.core.version import version

venv = pytest.importorskip("venv", reason="a Python that is embedded in programs has none")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PACKAGE = "baton_reasoning"
NOT_PACKED = shutil.ignore_patterns(
    *(".git", ".venv*", ".*_cache", ".hypothesis", ".gpu-build", "__pycache__", "build", "dist", "*.egg-info")
)
OTHER_BATON = """
[project]
name = "baton"
version = "1.0.2"
[tool.setuptools]
packages = ["baton", "core"]
"""
CATALOG = "from baton_reasoning.core.models.catalog import catalog_models; print(*catalog_models())"
"""All models; `baton models pairs` lists those that fit into the free memory."""
FORM = """
from PySide6.QtWidgets import QApplication
from baton_reasoning.app.toolkit.forms import SettingsForm
from baton_reasoning.core.run import RunSettings
application = QApplication([])
form = SettingsForm(RunSettings(policy="periodic"), RunSettings())
print(form.editor("policy", "every").accessibleName())
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """The source distribution, unpacked."""
    folder = tmp_path_factory.mktemp("source")
    shutil.copytree(ROOT, folder / "tree", ignore=NOT_PACKED, symlinks=True)
    build = f"import setuptools.build_meta as backend; backend.build_sdist({str(folder)!r})"
    subprocess.run([sys.executable, "-c", build], cwd=folder / "tree", capture_output=True, check=True)
    with tarfile.open(next(folder.glob("*.tar.gz"))) as archive:
        archive.extractall(folder, filter="data")
    return folder / f"{PACKAGE}-{version()}"


@pytest.fixture(scope="module")
def installed(source, tmp_path_factory):
    """A virtual environment with Baton's wheel, made from its source distribution, and its dependencies.

    Another project's `baton`, with a package `core`, is installed before it, and the example policies after it.
    """
    folder = tmp_path_factory.mktemp("installed")
    for name in ("baton", "core"):
        (folder / "other" / name).mkdir(parents=True)
        (folder / "other" / name / "__init__.py").write_text("WHOSE = 'of another project'\n")
    (folder / "other" / "pyproject.toml").write_text(OTHER_BATON)
    environment = folder / "environment"
    venv.create(environment)
    (site_packages(environment) / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    examples = shutil.copytree(ROOT / "docs" / "examples", folder / "examples", ignore=NOT_PACKED)
    for each in (folder / "other", source, examples):
        pip("--python", environment, "install", "--no-deps", "--no-build-isolation", each)
    return environment


def test_the_source_distribution_is_the_repository(source):
    """What it is built and tested with is there, and nothing twice."""
    packed = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    assert packed >= {"Makefile", "tests/conftest.py", "packaging/setup.sh", "docs/extending.md", ".ci/run"}
    launcher = source / "packaging" / "launcher" / PACKAGE
    assert {path.name for path in launcher.iterdir()} == {"__init__.py", "__main__.py", "py.typed"}


def test_an_installation_takes_one_name_and_its_commands_run_beside_another_baton(installed, tmp_path):
    """Each model of the demo is a child process, which must find the program as well."""
    policies = {"after_a_long_step.py", "agreement.py", "mentor.py", "periodic.py", "self_check.py", "triggers.py"}
    others = {"baton", "core", "dependencies.pth", "__pycache__", "baton-1.0.2.dist-info", *policies}
    names = {path.name for path in site_packages(installed).iterdir()} - others
    assert names == {PACKAGE, f"{PACKAGE}-{version()}.dist-info", "baton_example_policies-0.1.0.dist-info"}
    assert (site_packages(installed) / PACKAGE / "py.typed").exists(), "or mypy would see no types in it"
    assert "\\boxed" in output(tmp_path, command(installed, "baton"), "demo")
    assert version() in output(tmp_path, command(installed, "baton-window"), "--version")
    assert "solve" in output(tmp_path, command(installed, "python"), "-m", PACKAGE, "--help")
    whose = "import baton, core; print(baton.WHOSE, core.WHOSE)"
    assert output(tmp_path, command(installed, "python"), "-c", whose).count("of another project") == 2


def test_a_checkout_with_text_files_for_links_is_installed_in_both_ways(tmp_path):
    """So git leaves them on Windows, unless it is told otherwise."""
    tree, environment = tmp_path / "tree", tmp_path / "environment"
    shutil.copytree(ROOT, tree, ignore=NOT_PACKED, symlinks=True)
    for top in ("app", "core", "resources"):
        link = tree / "packaging" / "launcher" / PACKAGE / top
        link.unlink()
        link.write_text(f"../../../{top}")
    venv.create(environment)
    (site_packages(environment) / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    for how in ((), ("--editable",)):
        pip("--python", environment, "install", "--no-deps", "--no-build-isolation", *how, tree)
        assert "qwen3-14b" in output(tmp_path, command(environment, "python"), "-c", CATALOG)
        assert not list(environment.rglob(f"{PACKAGE}/*/app"))


def test_a_policy_in_a_package_is_run_and_tested_and_has_its_fields_in_the_form(installed, tmp_path):
    """By the command, and by the package's own tests, which import Baton like any library."""
    demo = ("--small", "demo", "--large", "demo")
    problem = next(held_out_problems(1)).question
    solve = ("solve", problem, *demo, "--policy", "periodic", "--set", "every=2", "--json")
    lines = [json.loads(line) for line in output(tmp_path, command(installed, "baton"), *solve).splitlines()]
    assert lines[0]["settings"]["policy"] == {"policy": "periodic", "every": 2, "step_cap": 512}
    assert "periodic" in {line["reason"] for line in lines if line["event"] == "takeover_started"}
    assert output(tmp_path, command(installed, "python"), "-c", FORM) == "Every n-th step\n"
    tests = installed.parent / "examples" / "test_examples.py"
    shutil.copy(tests, tmp_path)
    told = output(tmp_path, command(installed, "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider", tests.name)
    assert "6 passed" in told


def test_metadata_names_authors_addresses_and_kinds_and_links_of_the_description_are_absolute(installed):
    text = (site_packages(installed) / f"{PACKAGE}-{version()}.dist-info" / "METADATA").read_text(encoding="utf-8")
    found = Parser().parsestr(text)
    described = found.get_payload()
    assert isinstance(described, str)
    assert f"/blob/v{version()}/docs/install.md)" in described
    assert f"/raw/v{version()}/docs/images/" in described
    assert "](docs/" not in described
    assert found["Author"]
    assert any(url.startswith("Source, ") for url in found.get_all("Project-URL", ()))
    assert "Typing :: Typed" in found.get_all("Classifier", ())


def pip(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *map(str, arguments)], check=True)


def site_packages(environment: Path) -> Path:
    return next(environment.glob("[Ll]ib*/**/site-packages"))


def command(environment: Path, name: str) -> Path:
    return next(path for path in environment.glob(f"*/{name}*") if path.stem == name)


def output(folder: Path, *line: str | Path) -> str:
    """What a command writes to standard output when it is run in `folder`, in an environment of its own."""
    bare = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "NO_COLOR": "1", "PYTHONUTF8": "1"}
    done = subprocess.run(
        [str(word) for word in line], cwd=folder, env=bare | {"QT_QPA_PLATFORM": "offscreen"}, capture_output=True
    )
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    return done.stdout.decode()
