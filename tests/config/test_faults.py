from __future__ import annotations

import pytest

from orchestrator.errors import ExperimentFileError

BASE = "model: mlp\ndata: digits\nsearch_space: mlp\n"


def refusal(load, text, *overrides):
    with pytest.raises(ExperimentFileError) as caught:
        load(text, *overrides)
    return str(caught.value)


WRONG = [
    ("modell: mlp", [], "digits.yaml, line 4, modell: unknown key. Received: 'modell'. Did you mean 'model'?"),
    ("caviar:\n  num_sample: 3", [], "digits.yaml, line 5, caviar.num_sample: unknown key. Received:"
     " 'num_sample'. Did you mean 'num_samples'? Known: finalists, lanes, max_concurrent_trials, num_samples, points,"),
    ("caviar: {scheduler: {asha: {grace: 1}}}", [], "line 4, caviar.scheduler.asha.grace: unknown key"),
    ("num_samples: 3", [], "num_samples: unknown key here; it belongs to caviar"),
    ("", ["caviar.num_sample=8"], "--set caviar.num_sample=8: unknown key. Received: 'num_sample'. Did you mean"),
    ("", ["caviar={num_sample: 8}"], "--set caviar={num_sample: 8}, caviar.num_sample: unknown key"),
    ("epochs: 0", [], "line 4, epochs: expected a number of at least 1. Received: 0."),
    ("epochs: true", [], "epochs: expected a whole number. Received: True."),
    ("epochs: '27'", [], "epochs: expected a whole number. Received: '27'."),
    ("epochs: 2.5", [], "epochs: expected a whole number. Received: 2.5."),
    ("seed: -1", [], "seed: expected a number of at least 0"),
    ("seed: 4294967296", [], "seed: expected a number below 4294967296"),
    ("caviar: {num_samples: 0}", [], "caviar.num_samples: expected a number of at least 1"),
    ("caviar: {max_concurrent_trials: some}", [], "expected a whole number or 'auto'. Received: 'some'."),
    ("caviar: {max_concurrent_trials: 0}", [], "expected a number of at least 1 or 'auto'. Received: 0."),
    ("caviar: {scheduler: ashaa}", [], "unknown scheduler. Received: 'ashaa'. Did you mean 'asha'?"),
    ("caviar: {scheduler: 3}", [], "percentile, patient, pbt, or {asha: {grace_period: 1}}"),
    ("caviar: {scheduler: {asha: {}, median: {}}}", [], "expected one of none, asha, pasha"),
    ("caviar: {scheduler: {asha: {kind: median}}}", [], "caviar.scheduler.asha.kind: unknown key"),
    ("caviar: {scheduler: {asha: {reduction_factor: 1}}}", [], "expected a number of at least 2"),
    ("caviar: {reproducible: true, searcher: ./mine.py:Mine}", [], "line 4, caviar.searcher: expected random"),
    ("caviar: {reproducible: true, scheduler: ./mine.py:Mine}", [],
     " beside reproducible: true, since others depend on who came first. Received: './mine.py:Mine'."),
    ("caviar: {reproducible: true, searcher: tpe}", [], "since others learn from who came first. Received: 'tpe'."),
    ("caviar: {reproducible: true, scheduler: pasha}", [], "since others depend on who came first. Received: 'pasha'"),
    ("caviar: {reproducible: maybe}", [], "caviar.reproducible: expected true or false"),
    ("strategy: pandas", [], "strategy: expected 'caviar' or 'panda'. Received: 'pandas'."),
    ("strategy: panda", [], "digits.yaml, panda: expected the options of strategy panda"),
    ("panda: {start: {units: 3}}", [], "strategy: expected caviar or panda to be chosen, since there are options of"),
    ("strategy: panda\npanda: {}", [], "digits.yaml, line 5, panda.start: expected the hyperparameters of day 1"),
    ("strategy: panda\npanda: {start: {}, day: 3 weeks}", [], "expected a number and epochs, minutes or steps"),
    ("metric: val_loss\nmode: max", [], "mode: expected min, since a low val_loss is good. Received: 'max'."),
    ("resources: {cpu: 0}", [], "resources.cpu: expected a number above 0"),
    ("resources: {gpu: .nan}", [], "resources.gpu: expected a finite number"),
    ("resources: 1", [], "resources: expected a mapping of options. Received: 1."),
    ("name: a/b", [], "name: expected letters, digits, '.', '_' and '-'"),
    ("name: ..", [], "name: expected letters"),
    ("name: 2026", [], "name: expected a text (in quotes if it looks like something else)"),
    ("storage_path: ''", [], "storage_path: expected a text that is not empty"),
    ("keep_checkpoints: 0", [], "keep_checkpoints: expected a number of at least 1"),
    ("recalibrate_batch_norm: always", [], "expected 'auto', 'final', 'off' or 'every_validation'"),
    ("", ["search_space="], "--set search_space=: expected a text"),
    ("", ["search_space.learning_rate=3"], "expected a mapping at search_space"),
    ("", ["data=3"], "expected a source's name, or a mapping with source. Received: 3."),
    ("", ["data.validation=0.9", "data.test=0.2"], "expected validation + test below 1"),
    ("", ["data.scale=log"], "--set data.scale=log: expected 'auto', 'standard', 'minmax' or 'none'"),
    ("", ["epochs"], "--set epochs: expected key.path=value"),
    ("", ["=3"], "expected key.path=value"),
    ("", ["epochs.x=3"], "--set epochs.x=3: expected a whole number"),
    ("", ["epochs=[1"], "--set epochs=[1, line 1: expected YAML"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("more", "overrides", "sentence"), WRONG, ids=lambda value: str(value)[:40]
)
def test_a_mistake_is_one_sentence_with_its_place(load, more, overrides, sentence):
    message = refusal(load, BASE + more, *overrides)
    assert sentence in message
    assert "\n" not in message


def test_a_missing_key_says_what_it_is_for(load):
    message = refusal(load, "data: digits\nsearch_space: mlp")
    assert message.startswith(
        "digits.yaml, model: expected mlp, cnn, resnet, or your own: ./net.py"
    )


def test_caviar_without_a_space_is_refused(load):
    assert "digits.yaml, search_space: expected" in refusal(load, "model: mlp\ndata: digits\n")


def test_several_mistakes_come_at_once_a_line_each(load):
    text = "modle: mlp\ndata: digits\nsearch_space: {a: 'uniform(2, 1)'}\nepochs: 0\n"
    lines = refusal(load, text).splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "digits.yaml, model",
        "digits.yaml, line 4, epochs",
        "digits.yaml, line 1, modle",
        "digits.yaml, line 3, search_space.a",
    ]


def test_an_inline_space_names_the_line_of_the_hyperparameter(load):
    text = "model: mlp\ndata: digits\nsearch_space:\n  a: 1\n  b: loguniform(0, 1)\n"
    assert refusal(load, text).startswith(
        "digits.yaml, line 5, search_space.b: expected min above 0"
    )


def test_a_wrong_override_does_not_blame_the_file(load):
    message = refusal(load, BASE + "epochs: 3\n", "epochs=0")
    assert message == "--set epochs=0: expected a number of at least 1. Received: 0."


CAVIAR = {
    "epoch": "Did you mean 'epochs'?",
    "lr": "Write search_space.learning_rate instead.",
    "learningRate": "Write search_space.learning_rate instead.",
    "batch_size": "Write search_space.batch_size instead.",
    "batchsize": "Write search_space.batch_size instead.",
    "optimizer": "Write search_space.optimizer instead.",
    "n_trials": "Write caviar.num_samples instead.",
    "num_trials": "Write caviar.num_samples instead.",
    "max_trials": "Write caviar.num_samples instead.",
    "direction": "Write mode instead (max or min).",
    "objective": "Write metric instead.",
    "max_epochs": "Write epochs instead.",
    "early_stopping": "Write caviar.scheduler instead.",
    "pruner": "Write caviar.scheduler instead.",
    "patience": "Write caviar.scheduler instead.",
    "sampler": "Write caviar.searcher instead.",
    "loss": "Leave it out: the loss follows from the task",
    "timeout": "Write limits.max_run_time instead.",
    "n_jobs": "Write caviar.max_concurrent_trials instead.",
    "num_samples": "it belongs to caviar",
    "grace_period": "it belongs to caviar.scheduler.asha",
    "labels": "Did you mean 'data.label'?",
    "caviar.epoch": "Write epochs instead.",
    "caviar.lr": "Write search_space.learning_rate instead.",
}
PANDA = {
    "epoch": "Did you mean 'epochs'?",
    "lr": "Write panda.start.learning_rate instead.",
    "batch_size": "Write panda.start.batch_size instead.",
    "early_stopping": "Write panda.sitter instead.",
    "patience": "Write panda.sitter.patience instead.",
    "panda.epochs": "Write panda.days instead.",
    "panda.epoch": "Write panda.days instead.",
    "panda.learning_rate": "Write panda.start.learning_rate instead.",
}
OTHERS = [("caviar", *pair) for pair in CAVIAR.items()] + [
    ("panda", *pair) for pair in PANDA.items()
]


@pytest.mark.parametrize(("strategy", "key", "hint"), OTHERS)
def test_another_tools_word_is_answered_with_ours(load, strategy, key, hint):
    options = "strategy: panda\npanda: {start: {}}" if strategy == "panda" else ""
    assert hint in refusal(load, BASE + options, f"{key}=1")


def test_no_hint_points_to_a_key_that_is_not_there():
    from orchestrator.config.faults import _OF_PANDAS, _WORDS
    from orchestrator.config.schema import keys_of, sections

    for place in (*_WORDS, *_OF_PANDAS):
        *section, key = place.split(".")
        assert key in keys_of(sections()[tuple(section)]), place
