"""What is not equal to plain Keras yet, by the case's name, and why: a line goes when its fault is mended."""

from __future__ import annotations

FAILS: dict[str, str] = {}

SLOW = frozenset(
    {
        "waits for data", "subclassed without config", "nested", "penalties", "lambda", "true or false",
        "uneven columns", "float classes", "one sigmoid", "one sigmoid, booleans", "quantity in a column",
        "by names", "soft labels", "quantile", "sigmoid weighted", "binary logits",
        "regression on whole numbers", "two quantities", "outputs in a list", "eager", "xla",
        "adagrad", "adadelta", "adamax", "ftrl", "adafactor", "lamb", "muon", "nesterov", "centered",
        "amsgrad", "clipnorm", "decoupled", "overwriting", "exponential", "pieces", "restarts",
        "separable", "volume", "classes of points", "restoring", "half frozen",
        "masked words", "tagging", "lstm", "gru with masking", "own cell", "stacked cells",
        "convolution in time", "film", "attention", "matrix factors",
        "batch_quick normalisation", "group normalisation", "rms normalisation", "unit normalisation",
        "adapted", "asked momentum", "own noise", "seeded weights", "penalised", "contrast",
        "own loop", "averaged by fit", "half layers", "brain floats", "double", "lora", "class column",
        "half precision data", "two inputs in a list", "autoencoder", "counts", "outputs by name", "lion",
        "layer normalisation", "distilled", "class weights", "harmless sharing", "shared metric",
        "mixed precision, uncompiled", "one-hot-labels", "sigmoid-uncompiled", "logits-head",
        "shared-optimizer", "own-fit-callbacks", "own-fit-callbacks, weights", "winner-loads-again",
        "functional", "own layer", "one logit", "quantity above 0", "sigmoid", "hinge", "nadam", "averaging",
        "scaled", "cosine", "augmented", "segmenting", "causal", "transformer", "spectral normalisation",
        "noise of Keras", "noise of TensorFlow", "drawn constant", "variational", "adversarial", "counted",
        "swapped averages", "callbacks", "shared optimizer", "one-hot-labels, focal", "mixed-precision",
        "other layers", "double precision", "names", "splits given", "one sigmoid, column", "quantity",
        "one-hot", "flags", "accumulating", "bytes", "frozen", "simple rnn", "scheduled", "patient",
        "two inputs by name", "token-ids", "builder-defaults", "sequential", "residual", "bag of words",
        "dropouts", "shared base", "table of columns", "metric-names",
    }
)  # fmt: skip
"""Models much like others in the exam, or slow to trace: they have their turn with ``-m slow``."""
