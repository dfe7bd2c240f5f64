"""docs/experiment-file.md names every key, default, domain and hyperparameter that the code has."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from orchestrator.catalog import BUNDLED_DATA, bundled_names, find_model, read_names
from orchestrator.config import Experiment, PandaOptions, parse_document, parse_experiment
from orchestrator.config.data_options import DataOptions
from orchestrator.config.document import parse_value
from orchestrator.config.duration import Duration
from orchestrator.config.options import OF_KERAS
from orchestrator.config.sitter_options import BranchAndCompareOptions
from orchestrator.config.targets import TARGETS, TolerationOptions, WorkerGroupOptions
from orchestrator.domains import Space
from orchestrator.domains.parse import DISTRIBUTIONS
from orchestrator.schedulers import SCHEDULERS
from orchestrator.training.decay import SCHEDULES
from orchestrator.training.hyperparameters import DEFAULTS, OPTIMIZER_READS

PAGE = (Path(__file__).parents[1] / "docs" / "experiment-file.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `([^`]+)` \|([^|]*)\|", PAGE, re.MULTILINE))
ROWS_WHOLE = dict(re.findall(r"^\| `([^`]+)` (\|.*)$", PAGE, re.MULTILINE))
DOMAINS = PAGE.split("## Domains")[1].split("\n## ")[0]
HYPERPARAMETERS = PAGE.split("## Hyperparameters")[1].split("\n## ")[0]
ELSEWHERE: dict[str, type[BaseModel]] = {  # options that a field's own type does not show
    "data": DataOptions,
    "panda": PandaOptions,
    "panda.sitter.branch_and_compare": BranchAndCompareOptions,
    **{f"caviar.scheduler.{name}": options for name, options in SCHEDULERS.items()},
    **{f"target.{name}": options for name, options in TARGETS.items()},
    "target.kuberay.workers": WorkerGroupOptions,
    "target.kuberay.tolerations": TolerationOptions,
}
SHORT = {
    "caviar.searcher": "random",
    "caviar.scheduler": "asha",
    "panda.sitter.branch_and_compare": "off",
}
SHORT |= {"target.kuberay.workers": [{}]}
SHORT |= dict.fromkeys(OF_KERAS, "")  # left out beside trial alone
OF_THE_TASK = {"output_activation"}  # what a bundled model reads and nobody tunes


def keys(options: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every key an experiment file may hold, dotted, with its default as a file would write it."""
    for name, field in options.model_fields.items():
        path = f"{prefix}{field.alias or name}"
        if _is_options(field.annotation):
            yield from keys(field.annotation, f"{path}.")
        else:
            default = "" if field.is_required() else field.get_default(call_default_factory=True)
            yield path, SHORT.get(path, _written(default))
        for place, further in ELSEWHERE.items():
            if path in (place, place.rpartition(".")[0]):
                yield from keys(further, f"{place}.")


def _is_options(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _written(default: Any) -> Any:
    if isinstance(default, tuple):
        return list(default)
    return str(default) if isinstance(default, Duration) else default


def test_every_scheduler_is_on_the_page():
    assert [name for name in SCHEDULERS if f"`{name}`" not in ROWS_WHOLE["caviar.scheduler"]] == []


@pytest.mark.parametrize(("key", "default"), list(keys(Experiment)))
def test_every_key_is_on_the_page_with_its_default(key, default):
    assert key in ROWS
    written = ROWS[key].strip().strip("`")
    if key != "name":
        assert (parse_value(written, "page")[0] if written else "") == default


def test_the_page_names_no_key_that_is_not_there():
    tables = PAGE.split("## Every key", 1)[1].split("\n## Domains")[0]
    named = set(re.findall(r"^\| `([^`]+)` \|", tables, re.MULTILINE))
    assert named - {"panda.sitter"} == {key for key, _ in keys(Experiment)}


def test_every_distribution_and_every_key_of_a_domain_is_on_the_page():
    words = (*DISTRIBUTIONS, "distribution", "min", "max", "step", "values", "value", "when")
    assert [word for word in words if f"`{word}" not in DOMAINS] == []


def test_every_short_form_on_the_page_is_a_domain():
    forms = re.findall(r"^\| `([^`]+)` \|", DOMAINS, re.MULTILINE)
    assert len(Space.parse({f"h{at}": form for at, form in enumerate(forms)}).names) == 7


def test_every_example_on_the_page_is_a_target_or_a_space_to_draw_from():
    for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL):
        content = parse_document(block, Path("page")).content
        if "target" in content:
            parse_experiment({"model": "mlp", "data": "digits", "search_space": "mlp", **content})
        else:
            assert Space.parse(content["search_space"]).draw(0, 0)


@pytest.mark.parametrize("name", [*DEFAULTS, "batch_norm_momentum"])
def test_every_hyperparameter_of_training_is_on_the_page(name):
    assert f"| `{name}` |" in HYPERPARAMETERS


def test_every_hyperparameter_of_a_bundled_model_is_on_the_page():
    named = set(re.findall(r"^\| `(\w+)` \|", HYPERPARAMETERS, re.MULTILINE))
    for model in bundled_names("models"):
        source = Path(find_model(model, ".").file or "").read_text(encoding="utf-8")
        read = set(re.findall(r'hp\.get\("(\w+)"', source)) - OF_THE_TASK
        assert read <= named & read_names(find_model(model, "."))


@pytest.mark.parametrize("word", [*OPTIMIZER_READS, *SCHEDULES, *BUNDLED_DATA])
def test_every_optimizer_schedule_and_data_set_is_on_the_page(word):
    assert f"`{word}`" in PAGE


def test_the_defaults_of_training_are_those_on_the_page():
    shown = dict(re.findall(r"^\| `(\w+)` \| ([^|]*) \|", HYPERPARAMETERS, re.MULTILINE))
    for name, default in DEFAULTS.items():
        if isinstance(default, int | float):
            assert float(shown[name]) == default
