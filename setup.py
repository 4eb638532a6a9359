"""Which folder becomes which installed package; everything else about the project is in pyproject.toml.

Everything lies inside the one package `baton` (packaging/launcher says why). New packages are found by themselves.
"""

from setuptools import find_packages, setup

inside = [
    name for top in ("app", "core", "resources") for name in [top, *(f"{top}.{sub}" for sub in find_packages(top))]
]

setup(
    packages=["baton", *(f"baton.{name}" for name in inside)],
    package_dir={"baton": "packaging/launcher", **{f"baton.{name}": name.replace(".", "/") for name in inside}},
    package_data={"baton.resources": ["**/*"]},
)
