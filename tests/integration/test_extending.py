"""Finished runs made longer, on real workers and here: the same as if they had been so long from the start."""

from __future__ import annotations

import textwrap

import numpy as np
import pytest

import orchestrator
from orchestrator.errors import ExperimentFileError
from tests.integration.people import begin, until

NET = """
    def build(hp, input_shape, num_classes):
        x = keras.Input(input_shape)
        z = keras.layers.Dense(hp.get("units", 8))(keras.layers.Flatten()(x))
        return keras.Model(x, keras.layers.Dense(num_classes, activation="softmax")(z))
"""


INLINE = {"progress": False, "executor": "inline"}
ONE_BY_ONE = {"scheduler": "none", "max_concurrent_trials": 1}
"""Each further worker imports TensorFlow once more, and what is compared does not depend on their number."""


def curves(run):
    wanted = ("trial", "epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
    return run.epochs().sort_values(["trial", "epoch"])[list(wanted)].reset_index(drop=True)


def weights(run):
    return run.load_model().get_weights()


def test_more_trials_and_epochs_give_what_they_would_have_given_at_once(tune):
    short = tune(
        3, executor="inline", name="short", epochs=2, caviar=ONE_BY_ONE, keep_checkpoints=2
    )
    grown = orchestrator.extend(short, num_samples="+2", **INLINE)
    assert len(grown.records.trials) == 5
    grown = orchestrator.extend(grown, epochs=5, progress=False)
    whole = tune(
        5, executor="inline", name="whole", epochs=5, caviar=ONE_BY_ONE, keep_checkpoints=2
    )
    assert curves(grown).equals(curves(whole))
    assert grown.best == whole.best
    assert all(np.array_equal(a, b) for a, b in zip(weights(grown), weights(whole), strict=True))
    assert grown.status == "finished"
    winners = [event for event in grown.records.events if event["event"] == "winner"]
    assert len(winners) == 3
    kept = [{file.name for file in (r.path / "checkpoints").iterdir()} for r in (grown, whole)]
    assert kept[0] == kept[1]


def test_an_extension_that_was_killed_goes_on_as_if_it_had_not_been(tune):
    short = tune(3, executor="inline", name="short", epochs=2, caviar=ONE_BY_ONE)
    whole = tune(4, executor="inline", name="whole", epochs=30, caviar=ONE_BY_ONE)
    driver = begin("extend", str(short.path), "--num-samples", "+1", "--epochs", "30")
    try:
        until(lambda: len(short.folder.epochs_file.read_text().splitlines()) > 12)
    finally:
        driver.kill()
        driver.wait()
    killed = short.reload()
    assert (killed.status, killed.records.winner) == ("interrupted", None)
    resumed = orchestrator.resume(short.path, **INLINE)
    assert curves(resumed).equals(curves(whole))
    assert (resumed.status, resumed.best) == ("finished", whole.best)


def test_asha_lets_the_best_of_the_old_end_go_on_and_no_one_else(tune):
    asha = {"asha": {"promote": False, "grace_period": 3}}
    run = tune(6, executor="inline", caviar={"scheduler": asha})
    assert {trial.status for trial in run.records.trials} == {"finished"}
    longer = orchestrator.extend(run, epochs=9, **INLINE)
    far = [t.trial for t in longer.records.trials if len(longer.records.of(t.trial).epochs) == 9]
    at_the_old_end = {t.trial: longer.records.of(t.trial).epochs[2] for t in run.records.trials}
    best = sorted(at_the_old_end, key=lambda t: -at_the_old_end[t]["metrics"]["val_accuracy"])
    assert sorted(far) == sorted(best[:2])
    assert longer.table()["status"].value_counts().to_dict() == {"stopped": 4, "finished": 2}


def test_another_model_is_refused_and_forced_it_is_a_group_of_its_own(tune, tmp_path):
    run = tune(2, executor="inline", source=NET, caviar=ONE_BY_ONE, epochs=2)
    ranked = run.table()["trial"].tolist()
    source = "import keras\n" + textwrap.dedent(NET).replace("Flatten()(x)", "Flatten()(x * 1)")
    (tmp_path / "net.py").write_text(source)
    with pytest.raises(ExperimentFileError, match=r"code of model \./net\.py"):
        orchestrator.extend(run, num_samples=4, **INLINE)
    forced = orchestrator.extend(run, num_samples=4, force=True, **INLINE)
    table = forced.table()
    assert table["trial"].tolist()[2:] == ranked
    assert table["group"].tolist() == [2, 2, 1, 1]
    assert forced.best.trial in {"00002", "00003"}
    assert [file.stem for file in (run.path / "checkpoints").iterdir()] == [forced.best.trial]
    further = orchestrator.extend(forced, epochs=3, **INLINE)
    lengths = further.epochs().groupby(["group", "trial"]).size().to_dict()
    assert lengths == {(1, "00000"): 2, (1, "00001"): 2, (2, "00002"): 3, (2, "00003"): 3}


def test_more_days_of_a_panda_are_those_it_would_have_had(tune):
    panda = {"start": {"learning_rate": 0.05}, "sitter": "off"}
    keys = {"strategy": "panda", "search_space": {}}
    short = tune(executor="inline", name="short", **keys, panda=panda | {"days": 2})
    grown = orchestrator.extend(short, days="+2", **INLINE)
    whole = tune(executor="inline", name="whole", **keys, panda=panda | {"days": 4})
    assert curves(grown).equals(curves(whole))
    assert [day["day"] for day in grown.records.of("00000").days] == [1, 2, 3, 4]
    assert grown.best == whole.best
