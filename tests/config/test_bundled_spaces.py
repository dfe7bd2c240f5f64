from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.config import read_document
from orchestrator.domains import Choice, Fixed, Integer, Space

SPACES = sorted((Path(__file__).parents[2] / "search_spaces").glob("*.yaml"))
ORDER = ("learning_rate", "momentum", "batch_size")
STRUCTURAL = {"units", "filters", "hidden_layers", "activation", "batch_norm", "dropout"}
FEW_PROGRAMS = 9


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_a_bundled_space_is_in_the_field_s_order_of_importance(path):
    document = read_document(path)
    space = Space.parse(document.content, document.where)
    assert space.names[:3] == ORDER
    assert space.names[3] in ("units", "filters")
    assert space.names.index("hidden_layers") < space.names.index("learning_rate_decay")
    assert not {"beta_1", "beta_2", "epsilon"} & set(space.names)


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_a_bundled_space_needs_few_compiled_programs(path):
    space = Space.parse(read_document(path).content)
    sizes = {
        Choice: lambda d: len(d.values),
        Integer: lambda d: d.max - d.min + 1,
        Fixed: lambda d: 1,
    }
    counts = [sizes[type(d)](d) for name, d in space.domains.items() if name in STRUCTURAL]
    assert math.prod(counts) <= FEW_PROGRAMS


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_every_line_of_a_bundled_space_is_explained(path):
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line]
    assert all("# " in line for line in lines)


SURENESS = ("low", "medium", "high")


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_the_more_important_a_hyperparameter_the_less_sure_its_prior(path):
    domains = Space.parse(read_document(path).content).domains.values()
    free = [domain for domain in domains if not isinstance(domain, Fixed)]
    sure = [SURENESS.index(domain.prior.confidence) for domain in free]
    assert sure == sorted(sure) and len(set(sure)) == 3


@pytest.mark.parametrize("path", SPACES, ids=lambda path: path.stem)
def test_priors_change_no_draw(path):
    space = Space.parse(read_document(path).content)
    plain = Space({name: _without_prior(domain) for name, domain in space.domains.items()})
    assert [plain.draw(3, index) for index in range(9)] == [
        space.draw(3, index) for index in range(9)
    ]


def _without_prior(domain):
    return domain if isinstance(domain, Fixed) else replace(domain, prior=None)


def test_there_is_a_space_for_each_bundled_model():
    assert [path.stem for path in SPACES] == ["cnn", "mlp", "resnet"]
