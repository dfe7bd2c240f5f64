"""What promote and replay write, run reads: the same checks, on the files that they really write."""

from __future__ import annotations

import math

import numpy as np
import pytest
import yaml

from orchestrator.config import load_experiment
from orchestrator.errors import ExperimentFileError, RunExistsError
from orchestrator.experiment.prepared import prepare
from orchestrator.experiment.preview import preview_experiment
from orchestrator.experiment.warm_start import promoted, replayed, write_recipe
from orchestrator.records import RunWriter
from orchestrator.trials import Checkpoint, save_checkpoint

DOMAINS = {
    "uniform": ("dropout", "uniform(0, 0.5)"),
    "loguniform": ("learning_rate", "loguniform(1e-3, 1)"),
    "one_minus_loguniform": ("momentum", "one_minus_loguniform(0.9, 0.999)"),
    "one_minus_loguniform near 1": ("momentum", "one_minus_loguniform(0.9, 0.9999999)"),
    "integer": ("hidden_layers", "integer(1, 3)"),
    "log_integer": ("units", "log_integer(8, 64)"),
    "choice of texts": ("activation", "choice([relu, tanh])"),
    "choice with none": ("weight_decay", "choice([null, 1e-4])"),
    "fixed": ("batch_size", 32),
    "conditional": (
        "beta_1",
        {"when": {"optimizer": "adam"}, "domain": "one_minus_loguniform(0.5, 0.99)"},
    ),
}


def kept(written, index=0):
    """Give a trial of a written run a checkpoint, as a worker does."""
    spec = list(written.plan.draws())[index]
    about = {"trial": spec.trial, "seed": spec.seed, "chosen": dict(spec.hyperparameters)}
    state = Checkpoint((np.zeros(1),), (), about | {"epoch": 1, "metrics": {"val_accuracy": 0.5}})
    save_checkpoint(written.folder.checkpoints / f"{spec.trial}.npz", state)


def recipe(written, write, to="recipe.yaml"):
    file = written.place / to
    file.parent.mkdir(exist_ok=True, parents=True)
    return write_recipe(write(str(written.folder.path), str(written.folder.path.parent)), file)


@pytest.mark.parametrize("case", DOMAINS)
def test_a_promoted_trial_of_every_domain_is_run(written, case):
    name, domain = DOMAINS[case]
    space = {"optimizer": "choice([adam, sgd])"} if case == "conditional" else {}
    run = written(search_space=space | {name: domain}).writes((0, [0.5], "finished"))
    kept(run)
    prepared = prepare(load_experiment(recipe(run, promoted)))
    assert dict(prepared.plan.points[0].hyperparameters) == dict(
        next(run.plan.draws()).hyperparameters
    )


NET = """
import keras

def build(hp, shape, classes):
    head = keras.layers.Dense(classes, "softmax", name=f"of_{len(hp['note'])}")
    return keras.Sequential([
        keras.Input(shape), keras.layers.Flatten(), keras.layers.Dense(hp["units"]), head
    ])
"""
LOAD = """
import numpy as np


def load():
    return np.random.default_rng(0).normal(size=(60, 4)), np.arange(60) % 3
"""


@pytest.mark.parametrize("form", ["./{}", "sub/../{}", "{}"])
def test_a_users_own_files_are_found_from_wherever_the_recipe_lies(written, tmp_path, form):
    (tmp_path / "sub").mkdir()
    (tmp_path / "net.py").write_text(NET)
    (tmp_path / "load.py").write_text(LOAD)
    files = {"model": form.format("net.py"), "data": form.format("load.py")}
    space = {"note": "choice(['f(x)', '[1]'])", "units": "integer(1, 4)"}
    run = written(search_space=space, **files).writes((0, [0.5], "finished"))
    kept(run)
    prepared = prepare(load_experiment(recipe(run, promoted, "elsewhere/deep/recipe.yaml")))
    assert prepared.trials.model.place == str(tmp_path / "net.py")
    assert prepared.trials.dataset.train.rows == 36


def test_a_home_folders_file_stays_one(written, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "net.py").write_text(NET)
    run = written(model="~/net.py", search_space={"note": "x", "units": 3})
    run.writes((0, [0.5], "finished"))
    kept(run)
    assert prepare(load_experiment(recipe(run, promoted, "a/recipe.yaml"))).plan.nursery


def journal(run, *lines):
    with RunWriter(run.folder) as writer:
        writer.journal([{"trial": "00000", "stretch": 0, **line} for line in lines])


def panda(written, **options):
    start = {"momentum": 0.9, "units": 8}
    return written(
        strategy="panda", panda={"start": start, "day": "2 epochs", "days": 3, **options}
    )


def test_a_replay_through_a_momentum_is_run(written):
    run = panda(written).writes((0, [0.5, 0.5], None), event=None)
    changes = {"momentum": [0.9, 0.97], "one_minus_momentum": [0.1, 0.03]}
    facts = {"action": "set", "by": "ada", "how": "live", "changes": changes}
    journal(run, {"kind": "applied", "epoch": 1, "day": 0, **facts})
    prepared = prepare(load_experiment(recipe(run, replayed)))
    assert prepared.plan.nursery.schedule == ((1, {"momentum": 0.97, "one_minus_momentum": 0.03}),)


def test_a_replay_of_a_promoted_panda_names_the_trial_it_went_on_from(written):
    first = written().writes((0, [0.5], "finished"), (1, [0.4], "finished"))
    kept(first, 1)
    content = promoted(f"{first.folder.path}/00001", str(first.folder.path.parent))
    plan = prepare(load_experiment(write_recipe(content, first.place / "two.yaml"))).plan
    assert plan.points[0].origin["trial"] == "00001"


def test_what_was_set_after_the_last_day_is_no_part_of_a_replay(written):
    run = panda(written).writes((0, [0.5, 0.5], None), event=None)
    facts = {"action": "set", "by": "ada", "how": "live", "changes": {"units": [8, 8]}}
    journal(run, {"kind": "applied", "epoch": 2, "day": 1, **facts})
    assert replayed(str(run.folder.path), "runs")["panda"]["schedule"] == []


def test_a_start_whose_complement_contradicts_its_momentum_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    start = {"momentum": 0.9, "one_minus_momentum": 0.2}
    keys = {"name": "p", "model": "mlp", "data": "digits", "strategy": "panda"}
    with pytest.raises(ExperimentFileError, match=r"panda\.start\.one_minus_momentum"):
        preview_experiment({**keys, "panda": {"start": start}})
    start["one_minus_momentum"] = 1 - 0.9
    assert not math.isclose(0.1, 1 - 0.9, rel_tol=0, abs_tol=0)
    assert preview_experiment({**keys, "panda": {"start": start}}).plan.nursery


def test_a_written_recipe_is_complete(written):
    run = written().writes((0, [0.5], "finished"))
    kept(run)
    content = yaml.safe_load(recipe(run, promoted).read_text())
    assert content["panda"]["from"].endswith("/one/00000")


def test_a_recipe_goes_into_a_folder_that_exists_and_over_no_file(written):
    run = written().writes((0, [0.5], "finished"))
    kept(run)
    content = promoted(str(run.folder.path), str(run.folder.path.parent))
    with pytest.raises(ExperimentFileError, match="--to: expected a file that can be written"):
        write_recipe(content, run.place / "nowhere" / "recipe.yaml")
    with pytest.raises(RunExistsError, match="not overwritten"):
        write_recipe(content, write_recipe(content, run.place / "recipe.yaml"))
