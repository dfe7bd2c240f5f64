"""The fingerprint of a function given in Python: equal for what does the same, another for what does not."""

from __future__ import annotations

import functools
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from orchestrator.catalog import contents_of

ROOT = Path(__file__).parents[2]
SOURCE = """
UNITS, NAMES = 4, {"relu", "tanh", "gelu"}

def width(hp):
    return hp["units"] * UNITS

class Layer:
    def call(self, x):
        return x + 1

def build(hp, input_shape, num_classes, kind=Layer):
    if hp.get("activation") in {"relu", "tanh", "gelu", "selu"}:
        return width(hp), kind, NAMES
"""


def made(*changes):
    """Return ``build`` of the source with parts of it replaced, run as a notebook's cell is: in no file."""
    source = SOURCE
    for old, new in changes:
        assert old in source
        source = source.replace(old, new)
    namespace = {"__name__": "__main__"}
    exec(textwrap.dedent(source), namespace)  # noqa: S102 (as a notebook does)
    return namespace["build"]


def fingerprint(function):
    return contents_of(function)[0].fingerprint


def parts(function):
    return contents_of(function)[0].parts


def test_the_same_code_has_the_same_fingerprint_whatever_line_it_stands_on():
    assert fingerprint(made(("UNITS, NAMES", "\n\n# more\nUNITS, NAMES"))) == fingerprint(made())


def test_two_processes_agree():
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r})\n{SOURCE}\n"
    code += "from orchestrator.catalog import contents_of\nprint(contents_of(build)[0].fingerprint)"
    answers = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            env={"PYTHONHASHSEED": seed},
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert answers == {fingerprint(made())}


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("UNITS, NAMES = 4", "UNITS, NAMES = 5", "UNITS"),
        ('hp["units"] *', 'hp["units"] +', "width"),
        ("x + 1", "x + 2", "Layer.call"),
        ('"selu"', '"silu"', "build"),
        ("return width(hp), kind", "return width(hp), kind, 0", "build"),
    ],
)
def test_what_it_refers_to_is_a_part_that_can_be_named(old, new, part):
    before, after = parts(made()), parts(made((old, new)))
    assert part in [name for name in before if before[name] != after.get(name)]


def test_a_namespace_without_a_name_will_do():
    namespace = {}
    exec("def build(hp, shape, classes):\n    return hp['units']", namespace)  # noqa: S102
    found, own = contents_of(namespace["build"])
    assert (own, found.complete, list(found.parts)) == (
        (namespace["build"],),
        False,
        ["bytecode", "build"],
    )


def test_an_attribute_that_is_called_as_a_global_is_no_part():
    attribute = ("return width(hp)", "return hp.NAMES")
    assert "NAMES" not in parts(made(attribute, (", kind, NAMES", ", kind")))


def test_arrays_of_a_closure_count():
    def closure(array):
        return lambda hp, shape, classes: array

    zeros, ones = np.zeros(3), np.ones(3)
    assert fingerprint(closure(zeros)) == fingerprint(closure(np.zeros(3)))
    assert fingerprint(closure(zeros)) != fingerprint(closure(ones))


def test_what_a_partial_or_a_callable_object_holds_counts():
    class Builder:
        def __init__(self, units):
            self.units = units

        def __call__(self, hp, shape, classes):
            return self.units

    partial = functools.partial
    assert fingerprint(partial(made(), kind=1)) != fingerprint(partial(made(), kind=2))
    assert fingerprint(Builder(1)) == fingerprint(Builder(1)) != fingerprint(Builder(2))


def test_a_function_that_calls_itself_and_one_that_holds_itself_can_be_looked_into():
    def build(hp, shape, classes):
        return build

    held = []
    held.append(held)
    assert fingerprint(build) and fingerprint(lambda: held)


def test_a_file_imported_inside_the_function_counts(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    helper = tmp_path / "imported_within.py"
    helper.write_text("UNITS = 4\n")
    source = ("return width(hp)", "import imported_within\n        return imported_within.UNITS")
    before = parts(made(source))
    helper.write_text("UNITS = 5\n")
    after = parts(made(source))
    changed = [name for name in before if before[name] != after[name]]
    assert "imported_within.py" in changed
