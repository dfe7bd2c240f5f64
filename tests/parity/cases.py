"""The models of the exam, each on its data."""

from __future__ import annotations

from tests.parity.case import Case

UNSAVED = {"saved": "the builder's class says nothing of how it is made again"}


def _case(model: str, data: str, **more) -> Case:
    return Case(model, f"rows.py:{data}", **more)


def _plain(name: str, data: str, head: str, **more) -> Case:
    more.setdefault("hp", {"learning_rate": 0.05})
    return _case(f"plain_nets.py:{name}", data, head=head, **more)


def _compiled(name: str, data: str, **more) -> Case:
    return _case(f"compiled_nets.py:{name}", data, **more)


def _rule(name: str, **more) -> Case:
    return _compiled("ruled", "classes", hp={"rule": name}, **more)


def _vision(name: str, data: str = "colours", head: str | None = "classification", **more) -> Case:
    return _case(f"vision.py:{name}", data, head=head, **more)


def _sequence(name: str, data: str, head: str | None = "classification", **more) -> Case:
    hp = {} if head is None else {"optimizer": "adam", "learning_rate": 0.01}
    return _case(f"sequences.py:{name}", data, head=head, hp=hp, **more)


def _norm(name: str, **more) -> Case:
    more.setdefault("hp", {"learning_rate": 0.05})
    return _case(f"norms.py:{name}", "classes", head="classification", **more)


def _step(name: str, head: str | None = None, data: str = "classes", **more) -> Case:
    return _case(f"own_steps.py:{name}", data, head=head, **more)


def _fit(name: str, **more) -> Case:
    return _case(f"own_fit.py:{name}", "classes", **more)


ADAM = {"optimizer": "adam", "learning_rate": 0.02, "beta_1": 0.8}

EXAM: dict[str, Case] = {
    # uncompiled: structures
    "sequential": _plain("sequential", "classes", "classification"),
    "waits for data": _plain("waits_for_data", "classes", "classification"),
    "functional": _plain("functional", "classes", "classification", hp=ADAM),
    "subclassed": _plain("subclassed", "classes", "classification"),
    "subclassed without config": _plain("unsaved", "classes", "classification", unseen=UNSAVED),
    "nested": _plain("nested", "classes", "classification"),
    "penalties": _plain("penalties", "classes", "classification"),
    "other layers": _plain("other_layers", "classes", "classification"),
    "own layer": _plain("own_dense", "classes", "classification", unseen=UNSAVED),
    "lora": _plain("lora", "classes", "classification"),
    "lambda": _plain("with_lambda", "classes", "classification", unseen=UNSAVED),
    # uncompiled: data and labels
    "double precision": _plain("sequential", "double_precision", "classification"),
    "half precision data": _plain("sequential", "half_precision", "classification"),
    "true or false": _plain("sequential", "true_or_false", "classification"),
    "uneven columns": _plain("sequential", "uneven_columns", "classification"),
    "names": _plain("sequential", "names", "classification"),
    "class column": _plain("sequential", "class_column", "classification"),
    "float classes": _plain("sequential", "float_classes", "classification"),
    "splits given": _plain("sequential", "in_three", "classification"),
    "sample weights": _plain("sequential", "weighted", "classification"),
    "logits": _plain("logits", "classes", "logits"),
    "one sigmoid": _plain("one_sigmoid", "two_classes", "binary"),
    "one sigmoid, column": _plain("one_sigmoid", "column", "binary"),
    "one sigmoid, booleans": _plain("one_sigmoid", "true_labels", "binary"),
    "one logit": _plain("one_unit", "two_classes", "binary_logits"),
    "multilabel": _plain("four_sigmoids", "flags", "multilabel"),
    "quantity": _plain("one_unit", "quantity", "regression"),
    "quantity in a column": _plain("one_unit", "quantity_column", "regression"),
    "quantity above 0": _plain("one_positive", "counts", "raw_regression"),
    "two inputs by name": _plain("named_inputs", "two_inputs", "classification"),
    "two inputs in a list": _plain("shared_towers", "pair_of_inputs", "classification"),
    "table of columns": _plain("columns", "table", "classification"),
    # compiled: losses and metrics
    "by names": _compiled("by_names", "classes"),
    "one-hot": _compiled("one_hot", "one_hot"),
    "soft labels": _compiled("divergence", "soft_labels"),
    "own loss": _compiled("own_loss", "one_hot"),
    "quantile": _compiled("quantile", "quantity_column", hp={"quantile": 0.7}),
    "sigmoid": _compiled("sigmoid", "column"),
    "sigmoid weighted": _compiled("by_names", "weighted"),
    "binary logits": _compiled("logits", "column"),
    "hinge": _compiled("hinge", "plus_minus"),
    "flags": _compiled("multilabel", "flags"),
    "regression": _compiled("regression", "quantity_column", hp={"learning_rate": 0.02}),
    "regression on whole numbers": _compiled("mean_and_size", "tens"),
    "two quantities": _compiled("huber", "two_quantities"),
    "counts": _compiled("poisson", "counts"),
    "autoencoder": _compiled("autoencoder", "itself"),
    "outputs by name": _compiled("named_outputs", "two_outputs"),
    "outputs in a list": _compiled("listed_outputs", "pair_of_outputs"),
    "inputs and outputs": _compiled("inputs_and_outputs", "both"),
    # compiled: ways to run
    "steps per execution": _compiled("in_steps_of_three", "classes"),
    "eager": _compiled("eager", "classes"),
    "xla": _compiled("xla", "classes"),
    # optimizers and schedules
    **{
        name: _rule(name)
        for name in (
            "nadam", "adagrad", "adadelta", "adamax", "ftrl", "lion", "adafactor", "lamb", "muon",
            "nesterov", "centered", "amsgrad", "clipnorm", "decoupled", "accumulating", "averaging",
            "overwriting", "scaled", "exponential", "cosine", "pieces", "restarts",
        )
    },
    # convolution
    "bytes": _vision("small", "pictures"),
    "separable": _vision("separable"),
    "residual": _vision("residual", unseen={"saved": "its averages are recomputed"}),
    "augmented": _vision("augmented"),
    "volume": _vision("volume", "volumes"),
    "segmenting": _vision("segmenting", "masks", None),
    "classes of points": _vision("point_classes", "point_classes", None),
    "restoring": _vision("restoring", "restored", None),
    "frozen": _vision("frozen", head=None),
    "half frozen": _vision("half_frozen"),
    # sequences
    "bag of words": _sequence("bag_of_words", "words"),
    "masked words": _sequence("masked_words", "short_words", None),
    "tagging": _sequence("tagging", "word_classes", None),
    "lstm": _sequence("lstm", "series"),
    "gru with masking": _sequence("gru_with_masking", "padded_series"),
    "simple rnn": _sequence("simple_rnn", "series"),
    "own cell": _sequence("own_cell", "series"),
    "stacked cells": _sequence("stacked_cells", "next_value", None),
    "causal": _sequence("causal", "whole_next_series", None),
    "convolution in time": _sequence("convolution", "series"),
    "film": _sequence("film", "films"),
    "transformer": _sequence("transformer", "words"),
    "attention": _sequence("attention", "series"),
    "matrix factors": _sequence("matrix_factors", "ids", None),
    # normalisation and noise
    **{
        f"{name} normalisation": _norm("normed", hp={"norm": name})
        for name in ("batch", "batch_quick", "layer", "group", "rms", "unit")
    },
    "spectral normalisation": _norm("spectral"),
    "adapted": _norm("adapted"),
    "asked momentum": _norm("asked_momentum", hp={"batch_norm_momentum": 0.7}),
    "dropouts": _norm("dropouts"),
    "own noise": _norm("own_noise"),
    "noise of Keras": _norm("keras_noise"),
    "noise of TensorFlow": _case("tf_noise.py:noisy", "classes", head="classification"),
    "drawn constant": _norm("drawn_constant", unseen=UNSAVED),
    "seeded weights": _norm("seeded_weights"),
    # steps of one's own
    "by tape": _step("by_tape", "classification"),
    "penalised": _step("penalised", "classification"),
    "variational": _step("variational", data="itself", more={"metric": "val_total"}, unseen=UNSAVED),
    "adversarial": _step("adversarial", more={"metric": "val_critic_loss"}, unseen=UNSAVED),
    "contrast": _step("contrast"),
    "distilled": _step("distilled"),
    # fit() of one's own
    "scheduled": _fit("scheduled"),
    "class weights": _fit("weighted"),
    "patient": _fit("patient"),
    "counted": _fit("counted"),
    "own loop": _fit("own_loop"),
    "averaged by fit": _fit("averaged"),
    "swapped averages": _fit("swapped"),
    "callbacks": _fit("plain", callbacks="net.py:callbacks", more={"callbacks": "./net.py:callbacks"}),
    # shared objects
    "harmless sharing": _case("shared.py:harmless", "classes"),
    "shared optimizer": _case("shared.py:optimizer", "classes", or_refuses="OPTIMIZER"),
    "shared metric": _case("shared.py:metric", "classes", or_refuses="METRIC"),
    "shared base": _case(
        "shared_base.py:build", "classes", head="classification", or_refuses="BASE"
    ),
    # precision
    "half layers": _case("precision.py:half_layers", "classes", head="classification"),
    "mixed precision": _case("precision.py:half", "classes", rtol=2e-3, atol=1e-3),
    "mixed precision, uncompiled": _case(
        "precision.py:half_uncompiled", "classes", head="classification", rtol=2e-3, atol=1e-3
    ),
    "brain floats": _case("precision.py:brain", "classes", rtol=2e-3, atol=1e-3),
    "double": _case("precision.py:double", "classes"),
}  # fmt: skip


def _reported(folder: str, experiment: str, model: str, data: str = "load.py", **more) -> Case:
    return Case(f"{model}:build", f"{data}:load", folder=folder, experiment=experiment, **more)


def _shortened(folder: str, experiment: str, model: str, data: str = "load.py", **more) -> Case:
    return _reported(folder, experiment, model, data, more={"epochs": 3}, **more)


REPORTED: dict[str, Case] = {
    "token-ids": _shortened("token-ids", "words.yaml", "net.py", head="classification"),
    "uint8-rescaling": _shortened(
        "uint8-rescaling", "images.yaml", "net.py", head="classification"
    ),
    "one-hot-labels": _shortened("one-hot-labels", "onehot.yaml", "net.py"),
    "one-hot-labels, focal": _shortened("one-hot-labels", "focal.yaml", "focal.py", unseen=UNSAVED),
    "regression-target": _shortened("regression-target", "minutes.yaml", "net.py"),
    "sigmoid-uncompiled": _reported(
        "sigmoid-uncompiled", "uncompiled.yaml", "plain.py", head="binary"
    ),
    "logits-head": _shortened("logits-head", "logits.yaml", "net.py", head="logits"),
    "builder-defaults": _reported("builder-defaults", "default.yaml", "net.py"),
    "mixed-precision": _reported(
        "mixed-precision", "half.yaml", "net.py", head="classification", rtol=2e-3, atol=1e-3
    ),
    "shared-optimizer": _reported(
        "shared-optimizer", "optimizer.yaml", "optimizer.py", or_refuses="OPTIMIZER"
    ),
    "metric-names": _reported("metric-names", "auc.yaml", "net.py"),
    "own-fit-callbacks": _shortened("own-fit-callbacks", "halved.yaml", "net.py", unseen=UNSAVED),
    "own-fit-callbacks, weights": _shortened(
        "own-fit-callbacks", "weights.yaml", "weights.py", "rare.py", unseen=UNSAVED
    ),
    "winner-loads-again": _reported(
        "winner-loads-again", "subclass.yaml", "subclass.py", head="classification", unseen=UNSAVED
    ),
}
