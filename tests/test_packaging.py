"""What pyproject.toml promises an install: imports are declared, bundled files go along."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import get_args

import pytest

from orchestrator.catalog.names import BundledKind, bundled_folder, bundled_names

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
BY_PANDAS = {"tabulate"}  # imported when a table becomes Markdown
PROVIDED = {"tensorflow-cpu": "tensorflow", "scikit-learn": "sklearn", "pyyaml": "yaml"}
WITH_PYDANTIC = {"pydantic_core"}
WITH_JINJA = {"markupsafe"}
WITH_KUBERNETES = {"urllib3"}
WITH_JUPYTER = {"IPython"}
"""Imported where one is running alone."""


def required(requirements: list[str]) -> set[str]:
    """The modules that requirements bring: the names before any bracket, version or marker."""
    names = [re.match(r"[A-Za-z0-9._-]+", line)[0].lower() for line in requirements]
    return {PROVIDED.get(name, name.replace("-", "_")) for name in names}


def imported(*folders: str) -> set[str]:
    modules = set()
    for folder in folders:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    modules |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    modules.add(node.module)
    names = {module.partition(".")[0] for module in modules}
    return names - set(sys.stdlib_module_names) - {"orchestrator"}


def test_every_import_of_the_package_and_the_models_is_a_dependency():
    declared = required(PROJECT["project"]["dependencies"]) | WITH_PYDANTIC | WITH_JINJA
    extras = PROJECT["project"]["optional-dependencies"]
    optional = (
        required(
            [
                each
                for name in ("mnist", "kubernetes", "jax", "torch", "figures", "onnx")
                for each in extras[name]
            ]
        )
        | WITH_KUBERNETES
        | WITH_JUPYTER
    )
    assert imported("orchestrator", "models") <= declared | optional


def test_every_dependency_is_imported_somewhere():
    declared = required(PROJECT["project"]["dependencies"])
    assert declared - BY_PANDAS <= imported("orchestrator", "models")


def test_every_import_of_the_benchmark_comes_with_it():
    scripts = {path.stem for path in (ROOT / "benchmarks").glob("*.py")} | {"benchmarks", "tests"}
    extras = PROJECT["project"]["optional-dependencies"]
    extra = required([*extras["bench"], *extras["jax"]])  # bench-lanes is about JAX alone
    assert imported("benchmarks") - scripts <= required(PROJECT["project"]["dependencies"]) | extra


@pytest.mark.parametrize("kind", get_args(BundledKind))
def test_the_wheel_holds_every_kind_of_bundled_file_where_the_catalog_looks(kind):
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["force-include"][kind] == f"orchestrator/bundled/{kind}"
    assert bundled_names(kind)


@pytest.mark.parametrize("kind", get_args(BundledKind))
def test_a_checkout_uses_its_own_bundled_files(kind):
    assert bundled_folder(kind) == ROOT / kind


def test_what_a_page_is_drawn_with_lies_in_the_package_beside_its_licence():
    assets = ROOT / "orchestrator" / "report" / "html" / "assets"
    for script in set(assets.glob("*.min.js")):
        licence = assets / f"{script.name.partition('.')[0]}.LICENSE"
        assert re.search("Apache License|Permission is hereby", licence.read_text(encoding="utf-8"))
    ignored = subprocess.run(
        ["git", "check-ignore", *assets.iterdir()], cwd=ROOT, capture_output=True
    )
    assert ignored.stdout == b"", "the wheel leaves out what git ignores"


def test_the_command_is_the_module_run_by_its_name():
    assert PROJECT["project"]["scripts"] == {"orchestrator": "orchestrator.__main__:main"}


def test_an_installed_version_is_the_one_of_the_checkout():
    try:
        installed = metadata.version("orchestrator")
    except metadata.PackageNotFoundError:
        pytest.skip("run from a checkout that is not installed")
    assert installed == PROJECT["project"]["version"]
