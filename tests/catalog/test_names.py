from __future__ import annotations

import pytest

from orchestrator.catalog.names import Name, parse_name
from orchestrator.errors import ExperimentFileError


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("mlp", Name("bundled", "mlp", None)),
        ("my-space", Name("bundled", "my-space", None)),
        ("net.py", Name("file", "net.py", None)),
        ("./net.py", Name("file", "./net.py", None)),
        ("./net.py:build_wide", Name("file", "./net.py", "build_wide")),
        (".\\nets\\net.py:build", Name("file", "./nets/net.py", "build")),
        ("C:\\nets\\net.py", Name("file", "C:/nets/net.py", None)),
        ("C:\\nets\\net.py:build", Name("file", "C:/nets/net.py", "build")),
        ("C:/nets/net.py:build", Name("file", "C:/nets/net.py", "build")),
        ("C:net.py", Name("file", "C:net.py", None)),
        ("data.npz", Name("file", "data.npz", None)),
        ("/data/a:b/table.csv", Name("file", "/data/a:b/table.csv", None)),
        ("package.nets", Name("module", "package.nets", None)),
        ("package.nets:build_wide", Name("module", "package.nets", "build_wide")),
        ("nets:build", Name("module", "nets", "build")),
    ],
)
def test_a_name_is_taken_apart_by_how_it_is_written(text, name):
    assert parse_name(text, "model") == name


@pytest.mark.parametrize(
    "text", ["", "./net.py:", "./net.py:not-a-name", "a b", "1st", "a..b", ":"]
)
def test_a_name_of_no_form_is_refused_in_one_line(text):
    with pytest.raises(ExperimentFileError) as caught:
        parse_name(text, "model")
    assert str(caught.value).startswith("model: ")
    assert "\n" not in str(caught.value)
