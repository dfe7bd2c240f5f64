"""Values that no training could use are refused wherever they stand, and those that it can use are not."""

from __future__ import annotations

import pytest

from orchestrator.config import parse_experiment
from orchestrator.domains import Choice, Integer, LogUniform, Uniform, extremes
from orchestrator.errors import ExperimentFileError
from orchestrator.experiment.prepared import prepare
from orchestrator.experiment.preview import preview_experiment


def experiment(**keys):
    return {"name": "one", "model": "mlp", "data": "digits", "caviar": {"num_samples": 2}} | keys


def refusal(**keys):
    """What preparing and previewing both say."""
    said = []
    for refused in (lambda e: prepare(parse_experiment(e)), preview_experiment):
        with pytest.raises(ExperimentFileError) as caught:
            refused(experiment(**keys))
        said.append(str(caught.value))
    assert said[0] == said[1]
    return said[0]


WRONG = [
    ("optimizer", "adamm", "expected one of its options. Received: 'adamm'. Did you mean 'adam'?"),
    ("optimizer", "choice([sgd, adamm])", "Received: 'adamm', one of choice([sgd, adamm])."),
    ("optimizer", None, "expected a value, like 'sgd'. Received: None."),
    ("batch_size", -4, "expected a whole number above 0. Received: -4."),
    ("batch_size", 0, "expected a whole number above 0"),
    ("batch_size", 2.5, "expected a whole number above 0"),
    ("batch_size", "64 rows", "expected a finite number"),
    ("batch_size", 2**31, "expected at most 2147483647"),
    ("batch_size", "uniform(16, 64)", "a value of uniform(16, 64). Write integer(16, 64)."),
    ("batch_size", "integer(0, 64)", "Received: 0, the lower end of integer(0, 64)."),
    ("learning_rate", "uniform(0, 1)", "expected a number above 0. Received: 0, the lower end of"),
    ("learning_rate", "choice([0.1, -0.1])", "Received: -0.1, one of"),
    ("learning_rate", "fast", "expected a finite number. Received: 'fast'."),
    ("momentum", "uniform(0, 2)", "expected at least 0 and less than 1. Received: 2, the upper"),
    ("momentum", "uniform(-0.5, 0.5)", "Received: -0.5, the lower end"),
    ("label_smoothing", 1, "expected at least 0 and less than 1"),
    ("weight_decay", "uniform(-1e-4, 1e-4)", "expected at least 0. Received: -0.0001"),
    ("decay_schedule", "cosin", "Did you mean 'cosine'?"),
    ("recalibrate_batch_norm", "never", "Known: auto, every_validation, final, off."),
    ("dropout", "uniform(0, 2)", "expected a share, from 0 to 1. Received: 2, the upper end"),
    ("units", "loguniform(16, 256)", "a value of loguniform(16, 256). Write log_integer(16, 256)."),
    ("units", "integer(0, 9)", "expected a whole number of at least 1. Received: 0, the lower"),
    ("activation", "choice([relu, rlu])", "Received: 'rlu', one of"),
    ("batch_norm", "maybe", "expected true or false"),
]


@pytest.mark.parametrize(("name", "domain", "said"), WRONG, ids=[f"{n}: {d}" for n, d, _ in WRONG])
def test_a_value_that_no_training_could_use_is_refused(name, domain, said):
    text = refusal(search_space={"learning_rate": 0.1} | {name: domain})
    assert text.startswith(f"search_space.{name}: ") and said in text


@pytest.mark.parametrize(
    "space",
    [
        {"optimizer": "choice([Adam, AdamW])", "beta_1": "uniform(0, 0.99)"},
        {"batch_size": "uniform(16, 64, step=16)"},
        {"weight_decay": "choice([null, 1e-4])", "label_smoothing": "uniform(0, 0.3)"},
        {"dropout": "uniform(0, 1)", "activation": None, "batch_norm": "choice([true, false])"},
        {"hidden_layers": "integer(0, 2)", "recalibrate_batch_norm": "every_validation"},
        {"recalibrate_batch_norm": "off"},
        {"recalibrate_batch_norm": "choice([off, auto])"},
        {"learning_rate_decay": "uniform(0, 2)", "decay_schedule": "choice([none, sqrt])"},
        {
            "decay_schedule": "choice([cosine, inverse_time])",
            "learning_rate_decay": {"when": {"decay_schedule": "inverse_time"}, "value": 2},
        },
    ],
)
def test_what_it_can_use_is_not(space):
    prepare(parse_experiment(experiment(search_space=space)))


def test_a_decay_that_would_take_the_rate_below_0_is_refused_beside_its_schedule():
    space = {"learning_rate_decay": "uniform(0, 2)", "decay_schedule": "choice([sqrt, cosine])"}
    assert "expected at most 1 with decay_schedule cosine" in refusal(search_space=space)


def test_every_fault_has_its_line():
    lines = refusal(search_space={"optimizer": "adamm", "batch_size": 0}).split("\n")
    assert [line.partition(":")[0] for line in lines] == [
        "search_space.optimizer",
        "search_space.batch_size",
    ]


def test_a_pandas_start_and_schedule_are_looked_at_too():
    panda = {"start": {"batch_size": 0}, "schedule": [{"epoch": 3, "set": {"momentum": 1.5}}]}
    assert refusal(strategy="panda", panda=panda) == (
        "panda.start.batch_size: expected a whole number above 0. Received: 0.\n"
        "panda.schedule, epoch 3, momentum: expected at least 0 and less than 1. Received: 1.5."
    )


def test_a_domain_in_a_pandas_start_is_no_value():
    said = refusal(strategy="panda", panda={"start": {"momentum": "uniform(0, 0.9)"}})
    assert "expected a finite number. Received: 'uniform(0, 0.9)'." in said


def test_a_hyperparameter_that_exists_beside_another_optimizer_alone_is_read_by_none():
    space = {
        "optimizer": "choice([sgd, adam])",
        "momentum": {"when": {"optimizer": "adam"}, "value": 0.5},
    }
    assert refusal(search_space=space).startswith("search_space.momentum: nothing reads it")


def test_a_users_own_optimizers_are_known_to_the_builder_that_compiles(tmp_path):
    compiles = "model.compile(hp['optimizer'], 'sparse_categorical_crossentropy')\n    return model"
    for body, refused in ((compiles, False), ("hp['optimizer']\n    return model", True)):
        (tmp_path / "net.py").write_text(
            "import keras\ndef build(hp, input_shape, num_classes):\n"
            "    head = keras.layers.Dense(num_classes, 'softmax')\n"
            "    model = keras.Sequential([keras.Input(input_shape), keras.layers.Flatten(), head])\n"
            f"    {body}\n"
        )
        keys = {"model": str(tmp_path / "net.py"), "search_space": {"optimizer": "lion"}}
        if refused:
            with pytest.raises(ExperimentFileError, match=r"search_space\.optimizer"):
                preview_experiment(experiment(**keys))
        else:
            preview_experiment(experiment(**keys))


@pytest.mark.parametrize("epochs", [5, 6])
@pytest.mark.parametrize("scheduler", ["asha", "median"])
def test_a_grace_period_beyond_the_epochs_is_refused(scheduler, epochs):
    caviar = {"scheduler": {scheduler: {"grace_period": 6}}}
    keys = experiment(search_space="mlp", caviar=caviar, epochs=epochs)
    if epochs == 6:
        parse_experiment(keys)
        return
    said = rf"caviar\.scheduler\.{scheduler}\.grace_period: expected at most the 5 epochs .* Received: 6\."
    with pytest.raises(ExperimentFileError, match=said):
        parse_experiment(keys)


@pytest.mark.parametrize(
    ("domain", "values"),
    [
        (Uniform(0, 2), [0, 2]),
        (Uniform(0, 0.5, step=0.2), [0, 0.4]),
        (Integer(1, 10, step=4), [1, 9]),
        (LogUniform(1e-3, 1), [1e-3, 1]),
        (Choice(("a", "b")), ["a", "b"]),
        (Uniform(3, 3), [3]),
    ],
    ids=str,
)
def test_the_extremes_of_a_domain_are_values_that_it_holds(domain, values):
    found = [extreme.value for extreme in extremes(domain)]
    assert found[: len(values)] == values
    assert all(domain.contains(value) for value in found)


def test_the_bundled_models_activations_are_keras_own():
    from keras.src.activations import ALL_OBJECTS_DICT

    from orchestrator.training.hyperparameters import ACTIVATIONS

    assert set(ACTIVATIONS) == set(ALL_OBJECTS_DICT) - {"threshold"}
