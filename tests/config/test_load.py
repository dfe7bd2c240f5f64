from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from orchestrator.catalog import space_of
from orchestrator.config import (
    AshaOptions,
    Experiment,
    MedianOptions,
    NoSchedulerOptions,
    load_experiment,
    parse_experiment,
    to_yaml,
    write_template,
)
from orchestrator.errors import ExperimentFileError

ROOT = Path(__file__).parents[2]
BASE = "model: mlp\ndata: digits\nsearch_space: mlp\n"


def test_the_smallest_file_is_completed(load):
    experiment = load(BASE)
    assert experiment.name == "digits"
    assert experiment.data.source == "digits"
    assert experiment.caviar.num_samples == 64
    assert experiment.caviar.scheduler == AshaOptions(grace_period=1, reduction_factor=3)
    assert (experiment.epochs, experiment.seed, experiment.storage_path) == (27, 0, "./runs")


def test_references_are_resolved_against_the_folder_of_the_file(load, tmp_path):
    assert load(BASE).folder == tmp_path


def test_a_name_is_made_of_the_file_s_own(tmp_path):
    (tmp_path / ".my exp (2).yaml").write_text(BASE)
    assert load_experiment(tmp_path / ".my exp (2).yaml").name == "my-exp-2-"


def test_an_experiment_cannot_be_changed(load):
    with pytest.raises(ValidationError, match="frozen"):
        load(BASE).epochs = 3


def test_an_experiment_survives_a_pickle_with_its_folder(load):
    experiment = load(BASE)
    back = pickle.loads(pickle.dumps(experiment))  # noqa: S301 - made here
    assert (back, back.folder) == (experiment, experiment.folder)


@pytest.mark.parametrize(
    "text",
    [
        BASE,
        BASE + "caviar: {scheduler: none}",
        BASE + "caviar: {scheduler: {median: {min_trials: 5}}}",
        'name: "012"\nmodel: m\nsearch_space: s\ndata: {source: ./a b.csv, label: "1", stream: on}',
        "model: mlp\ndata: x\nsearch_space: {a: 'uniform(0, 1)',b: {when: {c: x}, value: 1}, c: x}",
        BASE + "strategy: panda\npanda: {start: {units: 3}, day: 20 minutes, sitter: off}",
    ],
)
def test_an_experiment_reads_back_equal_from_its_complete_file(load, text):
    experiment = load(text)
    assert load(to_yaml(experiment)) == experiment


@pytest.mark.parametrize(
    ("written", "options"),
    [
        ("none", NoSchedulerOptions()),
        ("asha", AshaOptions()),
        ("median", MedianOptions()),
        ("{asha: }", AshaOptions()),
        ("{asha: {grace_period: 2}}", AshaOptions(grace_period=2)),
        ("{median: {grace_period: 3, min_trials: 4}}", MedianOptions(grace_period=3, min_trials=4)),
    ],
)
def test_every_form_of_a_scheduler_becomes_its_typed_options(load, written, options):
    assert load(BASE, f"caviar.scheduler={written}").caviar.scheduler == options


def test_an_override_is_read_as_yaml_and_wins(load):
    text = "model: mlp\ndata: digits\nsearch_space: {learning_rate: 0.1}\nepochs: 3\n"
    experiment = load(
        text,
        "epochs=1e1",
        "data.label=species",
        "search_space.learning_rate=loguniform(1e-3, 1)",
        "caviar.scheduler.asha.grace_period=2",
        "caviar.num_samples=8",
        "caviar.num_samples=9",
        "data.stream=yes",
    )
    assert experiment.epochs == 10
    assert (experiment.data.source, experiment.data.label) == ("digits", "species")
    assert experiment.data.stream is True
    assert experiment.search_space == {"learning_rate": "loguniform(1e-3, 1)"}
    assert experiment.caviar.scheduler == AshaOptions(grace_period=2)
    assert experiment.caviar.num_samples == 9


def test_a_mapping_is_an_experiment_too_and_a_mistake_in_it_has_no_line(load, tmp_path):
    content = {"model": "mlp", "data": "digits", "search_space": {"units": "choice([1, 2])"}}
    experiment = parse_experiment(content, ["epochs=3"])
    assert (experiment.name, experiment.epochs, experiment.folder) == ("experiment", 3, Path.cwd())
    with pytest.raises(ExperimentFileError, match=r"^experiment, epoch: unknown key"):
        parse_experiment({**content, "epoch": 3})


def test_the_template_and_the_example_are_the_digits_experiment(tmp_path):
    write_template(tmp_path / "mine.yaml")
    example = load_experiment(ROOT / "examples" / "digits.yaml")
    template = load_experiment(tmp_path / "mine.yaml")
    assert template.model_dump() == example.model_dump()
    named = {"name": "digits-mlp", "model": "mlp", "data": "digits", "search_space": "mlp"}
    defaults = Experiment(**named, metric="val_accuracy")
    assert example.model_dump() == defaults.model_dump()


def test_what_the_template_only_shows_is_valid_too(load, tmp_path):
    write_template(tmp_path / "template.yaml")
    template = shown = (tmp_path / "template.yaml").read_text(encoding="utf-8")
    for line in ("data: digits ", "search_space: mlp "):
        shown = shown.replace(line, "# was: ")
    for line in template.splitlines():
        if (
            line.startswith(
                ("# data:", "# search_space:", "#   ", "# keep", "# recal", "# task", "# metrics")
            )
            and "FILE" not in line
        ):
            shown = shown.replace(line, line[2:])
    experiment = load(shown)
    assert experiment.data.label == "species"
    assert len(experiment.search_space) == 8


def test_reading_an_experiment_loads_no_framework():
    heavy = "('ray', 'tensorflow', 'keras', 'pandas', 'sklearn', 'pyarrow')"
    code = f"import sys, orchestrator.config; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("written", ["~/runs", "$PLACE/runs", "${PLACE}/runs"])
def test_the_place_of_the_runs_is_written_out_as_a_shell_would(load, monkeypatch, written):
    monkeypatch.setenv("HOME", "/home/ada")
    monkeypatch.setenv("PLACE", "/home/ada")
    assert load(BASE + f"storage_path: {written}\n").storage_path == "/home/ada/runs"


@pytest.mark.parametrize(
    ("written", "unknown"), [("$NOT_SET/runs", "NOT_SET"), ("~nobody1/runs", "~nobody1")]
)
def test_a_place_of_which_a_part_is_unknown_is_refused(load, written, unknown):
    with pytest.raises(ExperimentFileError, match=f"storage_path: expected .*{unknown} is not"):
        load(BASE + f"storage_path: {written}\n")


def test_a_folder_with_a_dollar_in_its_name_stays_what_it_is(load, tmp_path):
    (tmp_path / "a$b").mkdir()
    assert load(BASE + f"storage_path: {tmp_path}/a$b\n").storage_path == f"{tmp_path}/a$b"


def test_a_name_that_a_command_would_take_for_an_option_is_refused(load):
    with pytest.raises(ExperimentFileError, match=r"not starting with '\.' or '-'"):
        load(BASE + "name: -x\n")


def test_of_thousands_of_unknown_keys_the_first_are_named_and_the_rest_counted(load):
    with pytest.raises(ExperimentFileError) as refusal:
        load(BASE + "".join(f"key{i}: 1\n" for i in range(3000)))
    *named, last = str(refusal.value).splitlines()
    assert len(named) == 50 and "key49" in named[49] and last.endswith("2950 more keys are wrong.")


def test_a_space_in_the_file_is_parsed_with_it_and_is_no_other_experiments():
    content = {"model": "mlp", "data": "digits", "search_space": {"units": "choice([1, 2])"}}
    experiment = parse_experiment({**content, "constraints": ["units > 1"]})
    assert space_of(experiment) is experiment.at(Path("/elsewhere")).space is not None
    for changes in ({"search_space": {"units": "choice([3, 4])"}}, {"constraints": ("units > 0",)}):
        other = experiment.model_copy(update=changes)
        assert other.space is None
        assert space_of(other) != space_of(experiment)
