"""What pyproject.toml cannot say: which folder becomes which package, and README.md with links that work elsewhere.

`app`, `core` and `resources` lie at the top of the repository and inside `baton_reasoning` once they are installed. New
packages are found by themselves.
"""

import re
import tomllib
from pathlib import Path

from setuptools import find_packages, setup

PACKAGE = "baton_reasoning"
HERE = Path(__file__).parent
PROJECT = tomllib.loads((HERE / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def readme() -> str:
    """Return README.md as the package index shows it: links lead to the repository at this version."""
    repository, version = PROJECT["urls"]["Source"], f"v{PROJECT['version']}"
    text = (HERE / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"(!\[[^]]*\]\()(?!https?:)", rf"\1{repository}/raw/{version}/", text)
    return re.sub(r"((?<!!)\[[^]]*\]\()(?!https?:|#)", rf"\1{repository}/blob/{version}/", text)


inside = [
    name for top in ("app", "core", "resources") for name in [top, *(f"{top}.{sub}" for sub in find_packages(top))]
]

setup(
    long_description=readme(),
    long_description_content_type="text/markdown",
    packages=[PACKAGE, *(f"{PACKAGE}.{name}" for name in inside)],
    package_dir={
        PACKAGE: f"packaging/launcher/{PACKAGE}",
        **{f"{PACKAGE}.{name}": name.replace(".", "/") for name in inside},
    },
    package_data={PACKAGE: ["py.typed"], f"{PACKAGE}.resources": ["**/*"]},
)
