"""Whatever a file, a mapping or an override holds: an experiment, or a sentence; and nothing on disk.

`make properties` looks at thousands of examples of each.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator import redaction
from orchestrator.cli.output import error_block
from orchestrator.cli.preview_text import preview_text
from orchestrator.config import load_experiment, parse_experiment, to_yaml
from orchestrator.domains import Space
from orchestrator.errors import OrchestratorError
from orchestrator.experiment.prepared import prepare, read_experiment
from orchestrator.experiment.preview import preview_experiment
from tests.properties.made import VALID, VALUES, calls, domains, near_valid, overrides, spaces

AT_REST = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
YAML_SIGNS = st.text(alphabet="abc:{}[]&*!|>'\"%@`#-?,=<. \n\t0123e+~\0\x85\u2028é", max_size=60)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(redaction, "_KNOWN", redaction._Known())
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    return tmp_path


@contextlib.contextmanager
def refused_or_right(folder: Path) -> Iterator[None]:
    """Let the block succeed or be refused in words; hold it to having written nothing."""
    before = sorted(folder.rglob("*"))
    try:
        yield
    except OrchestratorError as error:
        lines = str(error).splitlines()
        assert lines and all(lines)
        assert all(sign.isprintable() for sign in error_block(str(error)).replace("\n", ""))
    assert sorted(folder.rglob("*")) == before


def same(left: Any, right: Any) -> bool:
    """Return whether two values are equal, NaN being equal to itself."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right or (left != left and right != right)


def judge(content: Any, folder: Path) -> None:
    """Take an experiment as far as it goes without running it."""
    with refused_or_right(folder):
        experiment = read_experiment(content)
        again = parse_experiment(yaml.safe_load(to_yaml(experiment)))
        assert same(again.model_dump(), experiment.model_dump())
        if experiment.caviar.num_samples > 50 or experiment.strategy == "panda":
            return
        preview_text(preview_experiment(experiment), 80)
        prepare(experiment)


@AT_REST
@given(
    text=st.text(max_size=80) | YAML_SIGNS | st.binary(max_size=60),
    sets=st.lists(overrides(), max_size=2),
)
def test_any_file(text, sets, here):
    file = here / "any.yaml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    with refused_or_right(here):
        load_experiment(file, sets)


@AT_REST
@given(content=near_valid())
def test_any_mapping_near_the_valid_ones(content, here):
    judge(content, here)


@AT_REST
@given(
    content=VALUES | st.dictionaries(st.sampled_from(list(VALID)), VALUES, max_size=6),
    sets=st.lists(overrides(), max_size=2),
)
def test_any_mapping(content, sets, here):
    with refused_or_right(here):
        read_experiment(content if isinstance(content, dict) else {"model": content}, sets)


@AT_REST
@given(sets=st.lists(overrides(), min_size=1, max_size=4))
def test_any_overrides_of_a_valid_file(sets, here):
    file = here / "valid.yaml"
    file.write_text(yaml.safe_dump({key: VALID[key] for key in VALID if key != "panda"}))
    with refused_or_right(here):
        judge(load_experiment(file, sets), here)


@AT_REST
@given(content=near_valid(), cut=st.integers(0, 600), junk=YAML_SIGNS)
def test_a_valid_file_cut_short_or_scribbled_on(content, cut, junk, here):
    file = here / "cut.yaml"
    with contextlib.suppress(yaml.YAMLError, UnicodeEncodeError):
        text = yaml.safe_dump(content, allow_unicode=True)
        file.write_text(text[:cut] + junk + text[cut + len(junk) :])
        judge(file, here)


@given(document=spaces())
def test_any_space_draws_only_what_it_holds_and_writes_itself_down(document):
    try:
        space = Space.parse(document)
    except OrchestratorError:
        return
    assert Space.parse(space.to_document()) == space
    for index in range(3):
        drawn = space.draw(1, index)
        for name, domain in space.domains.items():
            assert name not in drawn or domain.contains(drawn[name]), (str(domain), drawn[name])
        space.edges(drawn)


@given(written=domains() | calls() | VALUES)
def test_any_domain(written):
    with contextlib.suppress(OrchestratorError):
        Space.parse({"x": written})
