"""Which folder becomes which installed package; everything else about the project is in pyproject.toml.

`app`, `core` and `resources` lie at the top of the repository and inside `baton_reasoning` once they are installed. New
packages are found by themselves.
"""

from setuptools import find_packages, setup

PACKAGE = "baton_reasoning"
inside = [
    name for top in ("app", "core", "resources") for name in [top, *(f"{top}.{sub}" for sub in find_packages(top))]
]

setup(
    packages=[PACKAGE, *(f"{PACKAGE}.{name}" for name in inside)],
    package_dir={
        PACKAGE: f"packaging/launcher/{PACKAGE}",
        **{f"{PACKAGE}.{name}": name.replace(".", "/") for name in inside},
    },
    package_data={PACKAGE: ["py.typed"], f"{PACKAGE}.resources": ["**/*"]},
)
