from __future__ import annotations

import hashlib

from orchestrator.catalog import code_fingerprint, find_model, read_names

SOURCE = """
import helper_of_the_net
from layers_of_the_net import block
def build(hp, input_shape, num_classes):
    \"\"\"A net.\"\"\"
    return hp["units"], hp.get("dropout", 0.1), hp.get(key)
"""


def test_the_names_a_builder_reads_are_those_it_looks_up_and_its_neighbours_do(tmp_path):
    (tmp_path / "net.py").write_text(SOURCE, encoding="utf-8")
    (tmp_path / "helper_of_the_net.py").write_text(
        "import net\nsaid = 'relu'\nx = 'learning_rate' in hp\n", encoding="utf-8"
    )
    (tmp_path / "layers_of_the_net").mkdir()
    (tmp_path / "layers_of_the_net" / "__init__.py").write_text("", encoding="utf-8")
    (tmp_path / "layers_of_the_net" / "block.py").write_text(
        "x = hp['filters']\n", encoding="utf-8"
    )
    (tmp_path / "unrelated.py").write_text("x = hp['momentum']\n", encoding="utf-8")
    names = read_names(find_model("./net.py", tmp_path))
    assert {"units", "dropout", "learning_rate", "filters"} <= names
    assert not {"momentum", "hp", "key", "relu", "A net."} & names


def test_the_code_fingerprint_is_the_sha256_of_the_file(tmp_path):
    path = tmp_path / "net.py"
    path.write_text(SOURCE, encoding="utf-8")
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    assert code_fingerprint(find_model("./net.py", tmp_path)) == expected
