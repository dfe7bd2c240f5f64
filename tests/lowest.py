"""The lowest versions that pyproject.toml allows, as constraints for pip: ``python -m tests.lowest``."""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
TRIED = ("keras", "pandas", "pydantic", "ray", "tensorflow", "tensorflow-cpu")


def lowest() -> list[str]:
    """Return ``name==version`` for each of the libraries tried: the bound that pyproject.toml writes with ``>=``."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = {}
    for requirement in map(Requirement, project["dependencies"]):
        bounds = [each.version for each in requirement.specifier if each.operator == ">="]
        found[requirement.name] = f"{requirement.name}=={bounds[0]}" if bounds else ""
    return [found[name] for name in TRIED]


if __name__ == "__main__":
    print("\n".join(lowest()))
