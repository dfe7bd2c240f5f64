"""What is refused before Ray starts, and that nothing is written then."""

from __future__ import annotations

import json
import platform
import subprocess
import sys

import pytest
import yaml

import orchestrator
from orchestrator.errors import (
    DataError,
    ExperimentFileError,
    OrchestratorError,
    PlaceError,
    RunExistsError,
    UnknownNameError,
)
from orchestrator.experiment import prepare
from orchestrator.experiment.manifest import manifest_of
from orchestrator.experiment.prepared import read_experiment
from orchestrator.tuning.machine import available_cores

EXPERIMENT = {
    "name": "one",
    "model": "mlp",
    "data": "digits",
    "search_space": {"learning_rate": "loguniform(1e-3, 1)", "units": "choice([8, 16])"},
    "epochs": 3,
    "caviar": {"num_samples": 3},
}


@pytest.fixture
def written(tmp_path, monkeypatch):
    """`written(key=value, ...)`: the path of an experiment file in an otherwise empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)

    def write(**changes):
        file = tmp_path / "experiment.yaml"
        file.write_text(yaml.safe_dump(EXPERIMENT | changes))
        return file

    return write


@pytest.fixture
def prepared(written):
    return lambda **changes: prepare(read_experiment(written(**changes)))


SPACE = EXPERIMENT["search_space"]
REFUSED = [
    ({"model": "mpl"}, UnknownNameError, "Did you mean 'mlp'?"),
    ({"model": "./net.py"}, UnknownNameError, "net.py"),
    ({"data": "./none.csv"}, UnknownNameError, "none.csv"),
    ({"search_space": "mpl"}, UnknownNameError, "Did you mean 'mlp'?"),
    ({"search_space": {"units": "integer(9, 1)"}}, ExperimentFileError, "search_space.units"),
    ({"caviar": {"num_samples": 0}}, ExperimentFileError, "caviar.num_samples"),
    ({"resources": {"cpu": 4096}}, PlaceError, "resources.cpu: expected at most the"),
    ({"resources": {"gpu": 64}}, PlaceError, "resources.gpu: expected at most the"),
    ({"search_space": SPACE | {"momentun": 0.9}}, ExperimentFileError, "Did you mean 'momentum'?"),
    ({"search_space": SPACE | {"filters": 8}}, ExperimentFileError, "search_space.filters"),
    ({"data": {"source": "digits", "label": "x"}}, DataError, "data.label"),
]


@pytest.mark.parametrize(("changes", "error", "sentence"), REFUSED, ids=[r[2] for r in REFUSED])
def test_what_cannot_run_is_refused_in_one_block_and_nothing_is_written(
    written, tmp_path, changes, error, sentence
):
    file = written(**changes)
    with pytest.raises(error) as caught:
        orchestrator.run(file, progress=False)
    assert sentence in str(caught.value)
    assert isinstance(caught.value, OrchestratorError)
    assert [path.name for path in tmp_path.iterdir()] == ["experiment.yaml"]


def test_momentum_is_refused_where_every_optimizer_is_one_that_reads_none(prepared):
    space = SPACE | {"momentum": "one_minus_loguniform(0.9, 0.99)", "optimizer": "adam"}
    with pytest.raises(ExperimentFileError) as caught:
        prepared(search_space=space)
    assert str(caught.value) == (
        "search_space.momentum: nothing reads it, since the optimizer is always adam."
        " It is read by rmsprop, sgd."
    )
    prepared(search_space=space | {"optimizer": "choice([adam, sgd])"})
    prepared(search_space=SPACE | {"momentum": 0.9})  # sgd is what it is without a word


NET = """
import keras

def build(hp, input_shape, num_classes):
    {body}
    x = keras.Input(input_shape)
    z = keras.layers.Flatten()(x)
    return keras.Model(x, keras.layers.Dense(num_classes, activation="softmax")(z))
"""


@pytest.fixture
def with_net(prepared, tmp_path):
    def of(body, **space):
        (tmp_path / "net.py").write_text(NET.format(body=body))
        return prepared(model="./net.py", search_space={"learning_rate": 0.1} | space)

    return of


def test_a_name_that_a_users_file_puts_together_counts_as_read(with_net):
    with_net("[hp[f'width_{at}'] for at in (1, 2)]", width_1=3, width_2=4)


def test_a_name_that_a_users_file_never_asks_for_is_refused(with_net):
    with pytest.raises(ExperimentFileError, match=r"^search_space\.width_3: expected"):
        with_net("[hp[f'width_{at}'] for at in (1, 2)]", width_1=3, width_2=4, width_3=5)


def test_a_builder_that_goes_through_all_of_them_reads_them_all(with_net):
    with_net("dict(hp)", width_1=3)


def test_a_builder_that_raises_whatever_is_drawn_is_refused_with_its_line(with_net):
    said = r"^model \./net\.py: its code raised ValueError: 3 \(net\.py line 5, in build\), with learning_rate 0\.1,"
    with pytest.raises(ExperimentFileError, match=said):
        with_net("raise ValueError(hp[f'width_{1}'])", width_1=3, width_2=4)


COMPILES = """
import keras

def build(hp, input_shape, num_classes):
    model = keras.Sequential([
        keras.Input(input_shape), keras.layers.Flatten(),
        keras.layers.Dense(num_classes, activation="softmax"),
    ])
    rate = 0.1
    if hp.get("falls"):
        rate = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    model.compile(keras.optimizers.SGD(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model
"""


@pytest.fixture
def with_compiled(prepared, tmp_path):
    def of(**keys):
        (tmp_path / "net.py").write_text(COMPILES)
        return prepared(model="./net.py", **keys)

    return of


def test_what_training_would_set_of_a_model_that_its_builder_compiles_is_refused(with_compiled):
    space = {"learning_rate": 0.1, "optimizer": "choice([sgd, adam])", "label_smoothing": 0.1}
    with pytest.raises(ExperimentFileError) as caught:
        with_compiled(search_space=space)
    assert str(caught.value) == (
        "search_space: nothing reads label_smoothing and optimizer: the builder of model ./net.py compiles the model"
        " itself, so read hp['label_smoothing'] there, leave compile() out, or take label_smoothing and optimizer out"
        " of the file."
    )


def test_a_rate_that_follows_the_builders_schedule_is_nothing_to_tune(with_compiled):
    said = r"nothing reads learning_rate: .* compiles the model itself and its optimizer follows a schedule"
    with pytest.raises(ExperimentFileError, match=said):
        with_compiled(search_space={"learning_rate": "loguniform(0.01, 1)", "falls": True})


def test_neither_is_it_for_a_panda(with_compiled):
    panda = {"start": {"learning_rate": 5, "falls": True}, "days": 2}
    with pytest.raises(ExperimentFileError, match=r"^panda\.start: nothing reads learning_rate"):
        with_compiled(search_space={}, strategy="panda", panda=panda)


def test_a_pandas_schedule_is_read_too(prepared):
    panda = {"start": {"learning_rate": 0.1}, "schedule": [{"epoch": 1, "set": {"beta_1": 0.5}}]}
    with pytest.raises(ExperimentFileError, match=r"^panda\.schedule, epoch 1, beta_1: expected"):
        prepared(search_space={}, strategy="panda", panda=panda)
    panda["schedule"][0]["set"]["optimizer"] = "adam"
    prepared(search_space={}, strategy="panda", panda=panda)


def test_a_bundled_model_that_cannot_take_the_data_is_refused(prepared, tmp_path):
    (tmp_path / "load.py").write_text(
        "import numpy as np\ndef load():\n    return np.zeros((60, 6), 'float32'), np.arange(60) % 3\n"
    )
    with pytest.raises(ExperimentFileError, match="For vectors use the model mlp"):
        prepared(model="cnn", data="./load.py", search_space={"learning_rate": 0.1})


def test_a_momentum_that_is_read_by_a_name_put_together_counts_as_read(with_net):
    body = "keras.layers.BatchNormalization(momentum=hp['batch' + '_norm_momentum'])"
    with_net(body, batch_norm_momentum=0.9)


def test_a_name_that_is_taken_is_refused_beside_what_else_is_wrong(written, tmp_path):
    file = written(model="no_such_model")
    (tmp_path / "runs/one").mkdir(parents=True)
    (tmp_path / "runs/one/kept.txt").write_text("mine")
    with pytest.raises(RunExistsError, match=r"no_such_model[\s\S]*--set name="):
        orchestrator.run(file, progress=False)
    assert [path.name for path in (tmp_path / "runs/one").iterdir()] == ["kept.txt"]


def test_a_cluster_elsewhere_is_not_judged_by_this_machines_cores(written, monkeypatch):
    from orchestrator.experiment.executors import check_resources

    plan = prepare(read_experiment(written(resources={"cpu": available_cores()}))).plan
    large = type(plan)(**(vars(plan) | {"cpus_per_trial": 4096.0}))
    with pytest.raises(PlaceError):
        check_resources(large)
    monkeypatch.setenv("RAY_ADDRESS", "192.0.2.1:6379")
    check_resources(large)


def test_the_document_is_complete_and_prepares_to_the_same_plan(prepared, tmp_path):
    first = prepared(search_space="mlp")
    document = yaml.safe_load(first.document)
    assert isinstance(document["search_space"], dict)
    asha = {"grace_period": 1, "reduction_factor": 3, "promote": "auto", "noise": False}
    assert document["caviar"]["scheduler"] == {"asha": asha}
    again = prepare(read_experiment(document))
    assert again.plan == first.plan
    assert yaml.safe_load(again.document) == document


def test_the_job_reports_at_every_rung_and_at_none_without_a_scheduler(prepared, tmp_path):
    from orchestrator.records import RunFolder

    folder = RunFolder(tmp_path / "runs/one")
    assert prepared(epochs=30).job(folder).objective.milestones == {1, 3, 9, 27}
    caviar = {"num_samples": 3, "scheduler": "none"}
    assert prepared(caviar=caviar).job(folder).objective.milestones == set()


def test_the_manifest_says_what_someone_needs_to_repeat_the_run(prepared):
    manifest = json.loads(json.dumps(manifest_of(prepared(seed=9))))
    assert manifest["seed"] == 9
    assert manifest["command"] == sys.argv
    assert manifest["versions"]["python"] == platform.python_version()
    assert {"ray", "keras", "numpy"} <= set(manifest["versions"])
    assert manifest["machine"]["cores"] == available_cores()
    assert len(manifest["model"]["fingerprint"]) == 64
    data = manifest["data"]
    assert data["source"] == "digits"
    assert len(data["fingerprint"]) == 64
    assert data["classes"] == [str(digit) for digit in range(10)]
    assert sum(data["rows"].values()) == 1797
    assert data["input_shape"] == [8, 8, 1]
    assert data["streamed"] is False


def test_the_manifest_knows_the_commit_and_whether_it_is_dirty(written, tmp_path):
    file = written()
    manifest = manifest_of(prepare(read_experiment(file)))
    assert manifest["git"] is None
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-qm", "All"]):
        subprocess.run(["git", "-C", tmp_path, *words], check=True)
    clean = manifest_of(prepare(read_experiment(file)))["git"]
    assert len(clean["commit"]) == 40
    assert clean["dirty"] is False
    (tmp_path / "net.py").write_text("new\n")
    assert manifest_of(prepare(read_experiment(file)))["git"] == clean | {"dirty": True}
