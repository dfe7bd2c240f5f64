"""Make the files of kuberay-crds/ anew from a folder of KubeRay's own: ``python -m tests.deployment.crds FOLDER``."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

import yaml

CRDS = Path(__file__).parent / "kuberay-crds"
USED = ("rayclusters", "rayjobs")


def without_descriptions(node: Any, are_names: bool = False) -> Any:
    """A schema less its prose; below ``properties`` a key ``description`` is a field's name and stays."""
    if isinstance(node, list):
        return [without_descriptions(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        key: without_descriptions(value, key == "properties" and not are_names)
        for key, value in node.items()
        if are_names or key != "description"
    }


def main(folder: Path) -> None:
    for name in USED:
        original = (folder / f"ray.io_{name}.yaml").read_bytes()
        crd = yaml.load(original, Loader=yaml.CSafeLoader)
        crd["spec"]["versions"] = [v for v in crd["spec"]["versions"] if v["name"] == "v1"]
        text = json.dumps(without_descriptions(crd), indent=0, separators=(",", ":")) + "\n"
        (CRDS / f"ray.io_{name}.json").write_text(text, encoding="utf-8")
        print(name, hashlib.sha256(original).hexdigest())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
