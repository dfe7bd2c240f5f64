"""docs/experiment-file.md names every key, default, domain and hyperparameter that the code has."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from orchestrator.catalog import BUNDLED_DATA, bundled_names, find_model, read_names
from orchestrator.config import parse_document, parse_experiment
from orchestrator.config.document import parse_value
from orchestrator.config.limits import Duration
from orchestrator.config.options import OF_KERAS
from orchestrator.config.schema import experiment_schema
from orchestrator.domains import Space
from orchestrator.domains.parse import DISTRIBUTIONS
from orchestrator.schedulers import SCHEDULERS
from orchestrator.sitter import RULES
from orchestrator.training.decay import SCHEDULES
from orchestrator.training.hyperparameters import DEFAULTS, OPTIMIZER_READS
from tests.experiment_page import OWN, keys, written

PAGE = (Path(__file__).parents[1] / "docs" / "experiment-file.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `([^`]+)` \|([^|]*)\|", PAGE, re.MULTILINE))
ROWS_WHOLE = dict(re.findall(r"^\| `([^`]+)` (\|.*)$", PAGE, re.MULTILINE))
DOMAINS = PAGE.split("## Domains")[1].split("\n## ")[0]
HYPERPARAMETERS = PAGE.split("## Hyperparameters")[1].split("\n## ")[0]
KEYS = dict(keys())
SHORT = {
    "caviar.searcher": "random",
    "caviar.scheduler": "asha",
    "panda.sitter": "",
    "caviar.rounds": "",
    "caviar.finalists": "auto",
}
SHORT |= {f"panda.sitter.{name}": "off" for name, rule in RULES.items() if not rule.ON}
SHORT |= {"name": "the file's own name", "target.kuberay.workers": [{}]}
SHORT |= dict.fromkeys(OF_KERAS, "")  # left out beside trial alone
OF_THE_TASK = {"output_activation"}  # what a bundled model reads and nobody tunes


def _written(default: Any) -> Any:
    if isinstance(default, tuple):
        return list(default)
    return str(default) if isinstance(default, Duration) else default


def test_every_scheduler_is_on_the_page():
    assert [name for name in SCHEDULERS if f"`{name}`" not in ROWS_WHOLE["caviar.scheduler"]] == []


def test_the_tables_of_keys_are_what_the_fields_say():
    assert written(PAGE) == PAGE, "make docs"


@pytest.mark.parametrize("key", KEYS)
def test_a_default_on_the_page_is_read_as_the_default(key):
    field, cell = KEYS[key], ROWS[key].strip().strip("`")
    default = "" if field.is_required() else field.get_default(call_default_factory=True)
    assert (parse_value(cell, "page")[0] if cell else "") == SHORT.get(key, _written(default))


@pytest.mark.parametrize(
    "key",
    [
        "panda.sitter.plateau.most_reductions",
        "caviar.scheduler.median.min_trials",
        "target.kuberay.workers.replicas",
        "panda.schedule.set",
    ],
)
def test_keys_are_found_wherever_options_lie(key):
    assert key in KEYS


def test_a_row_says_what_its_field_says_unless_it_has_words_of_its_own():
    own = f"| `epochs` | `27` | My words. {OWN} |"
    other = "| `seed` | `7` | Stale. |"
    page = written(f"<!-- keys: make docs -->\n{own}\n{other}\n<!-- end of keys -->")
    assert own in page
    assert f"| `seed` | `0` | {KEYS['seed'].description} |" in page


def test_every_distribution_and_every_key_of_a_domain_is_on_the_page():
    _, _, mapping = experiment_schema()["$defs"]["Domain"]["anyOf"]
    words = (*DISTRIBUTIONS, *mapping["properties"])
    assert [word for word in words if f"`{word}" not in DOMAINS] == []


def test_every_short_form_on_the_page_is_a_domain():
    forms = re.findall(r"^\| `([^`]+)` \|", DOMAINS, re.MULTILINE)
    assert len(Space.parse({f"h{at}": form for at, form in enumerate(forms)}).names) == 9


def test_every_example_on_the_page_is_a_trial_a_target_or_a_space_to_draw_from():
    for block in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL):
        content = parse_document(block, Path("page")).content
        if "trial" in content:
            parse_experiment({"metric": "score", "search_space": {"rate": 1}, **content})
        elif "target" in content:
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
