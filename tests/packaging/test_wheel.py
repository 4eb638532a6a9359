"""The wheel: installed, Baton takes one name in site-packages, and works from any folder beside another `core`."""

import shutil
import site
import subprocess
import sys
import venv
from pathlib import Path

import pytest

from baton_reasoning.core.version import version

ROOT = Path(__file__).parents[2]
PROGRAM = ("app", "core", "resources", "packaging/launcher", "pyproject.toml", "setup.py", "README.md", "LICENSE")
PACKAGE = "baton_reasoning"
OTHERS_CORE = "WHOSE = 'of another project'\n"


def test_every_package_is_inside_the_one_that_is_installed() -> None:
    """The names that setuptools would install, without building anything."""
    listing = "import setuptools; setuptools.setup = lambda **given: print(*given['packages']); import setup"
    done = subprocess.run([sys.executable, "-c", listing], cwd=ROOT, capture_output=True, text=True, check=True)
    packages = done.stdout.split()
    assert {f"{PACKAGE}{name}" for name in ("", ".app.window", ".core.thinking.policies", ".resources")} <= set(
        packages
    )
    assert {name.partition(".")[0] for name in packages} == {PACKAGE}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment with Baton's wheel, its dependencies, and another project's package `core`."""
    folder = tmp_path_factory.mktemp("installed")
    for name in PROGRAM:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        (folder / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, folder / "tree" / name)
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, folder / "tree")
    environment = folder / "environment"
    venv.create(environment)
    packages = site_packages(environment)
    (packages / "dependencies.pth").write_text("\n".join(site.getsitepackages()))
    (packages / "core").mkdir()
    (packages / "core" / "__init__.py").write_text(OTHERS_CORE)
    pip("--python", environment, "install", "--no-deps", *folder.glob("*.whl"))
    return environment


@pytest.mark.long
def test_only_one_package_is_installed(installed: Path) -> None:
    names = {path.name for path in site_packages(installed).iterdir()} - {"core", "dependencies.pth", "__pycache__"}
    assert names == {PACKAGE, f"{PACKAGE}-{version()}.dist-info"}


@pytest.mark.long
def test_the_command_works_from_another_folder(installed: Path, tmp_path: Path) -> None:
    assert "solve" in output(tmp_path, command(installed, "baton"), "--help")


@pytest.mark.long
def test_python_m_is_the_command(installed: Path, tmp_path: Path) -> None:
    assert "solve" in output(tmp_path, command(installed, "python"), "-m", PACKAGE, "--help")


@pytest.mark.long
def test_child_processes_find_the_program(installed: Path, tmp_path: Path) -> None:
    """Each model of the demo runs in a process of its own."""
    assert "\\boxed" in output(tmp_path, command(installed, "baton"), "demo")


@pytest.mark.long
def test_data_and_version_come_with_it(installed: Path, tmp_path: Path) -> None:
    script = "from baton_reasoning.core.version import version; print(version())"
    assert output(tmp_path, command(installed, "python"), "-c", script).strip() == version()


@pytest.mark.long
def test_another_project_s_core_survives(installed: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    shutil.copytree(installed, mine, symlinks=True)
    assert output(tmp_path, command(mine, "python"), "-c", "import core; print(core.WHOSE)") == "of another project\n"
    pip("--python", mine, "uninstall", "--yes", "baton-reasoning")
    assert (site_packages(mine) / "core" / "__init__.py").read_text() == OTHERS_CORE
    assert not (site_packages(mine) / PACKAGE).exists()


def pip(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *map(str, arguments)], check=True)


def site_packages(environment: Path) -> Path:
    return next(environment.glob("[Ll]ib*/**/site-packages"))


def command(environment: Path, name: str) -> Path:
    return next(path for path in environment.glob(f"*/{name}*") if path.stem == name)


def output(folder: Path, *line: str | Path) -> str:
    """What a command writes to standard output when it is run in `folder`, in an environment of its own."""
    done = subprocess.run([str(word) for word in line], cwd=folder, env=bare_environment(folder), capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def bare_environment(folder: Path) -> dict[str, str]:
    return {"PATH": "/usr/bin:/bin", "HOME": str(folder), "NO_COLOR": "1", "PYTHONUTF8": "1"}
