"""From a file and a few ``--set`` to a complete experiment, or to every reason why not; and a file to begin with."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from orchestrator.config.document import (
    Document,
    KeyPath,
    Places,
    dotted,
    dump,
    legible,
    parse_value,
    read_document,
)
from orchestrator.config.faults import sentences
from orchestrator.config.options import Experiment
from orchestrator.config.references import as_written, resolved
from orchestrator.config.schema import spelt_out
from orchestrator.domains import Space
from orchestrator.domains.values import shown
from orchestrator.errors import ExperimentFileError, PlaceError, explain

NUMBERED = "auto"
"""The name of a run that is numbered."""
_TEMPLATE = """\
# An experiment: one model, one data set, a space to search, a strategy, a place for results.
#   orchestrator preview FILE    shows what would run     orchestrator schema    describes each key
#   orchestrator run FILE        runs it                  --set epochs=9         overrides any key

name: digits-mlp            # the run's folder under storage_path; the file's own name if left out
model: mlp                  # mlp, cnn, resnet | ./net.py | ./net.py:build_wide | package.nets:build
# callbacks: ./net.py:callbacks   # callbacks(hp) returns a trial's Keras callbacks; trained by fit
data: digits                # digits, mnist5k | ./data.npz | ./table.csv | ./t.parquet | ./load.py
# data:                     # the same with its options:
#   source: ./table.csv
#   label: species          # the column that holds the label
#   validation: 0.2         # share of the rows, if the data has no split of its own
#   test: 0.2
#   scale: auto             # standard, minmax or none; auto: none for a model of your own
#   class_weight: balanced  # or {class: weight}: what a training row counts in the loss
#   stream: auto            # true: read batch by batch instead of holding it in memory

search_space: mlp           # mlp, cnn, resnet | ./space.yaml | a mapping:
# search_space:
#   learning_rate: loguniform(1e-3, 1)
#   momentum: one_minus_loguniform(0.9, 0.999)    # bounds in β; 1-β is uniform on a log scale
#   batch_size: choice([32, 64, 128, 256])
#   hidden_layers: integer(1, 3)                  # both ends included; also log_integer(1, 512)
#   dropout: uniform(0, 0.5, step=0.1)
#   units: 64                                     # a plain value is the same for every trial
#   optimizer: choice([sgd, adam])
#   beta_1: {when: {optimizer: adam}, domain: "uniform(0.8, 0.99)"}   # inside {…} with quotes

strategy: caviar            # many trials in parallel; panda: one model, watched and adjusted
# task: auto                # classification, binary, multilabel or regression; auto: inferred from labels and model
metric: val_accuracy        # decides which trial is better; add mode: max or min if its direction is unknown
# metrics: [auc, macro_f1]  # additional validation metrics, by name
epochs: 27                  # the most that a trial trains
seed: 0                     # determines the draws, the splits and the initial weights

caviar:
  num_samples: 64                # trials drawn from the space
  max_concurrent_trials: auto    # or a number; auto: as many as the resources allow
  scheduler: {asha: {grace_period: 1, reduction_factor: 3}}   # or none, median, ./mine.py:Mine

resources: {cpu: 1, gpu: 0}      # of one trial
storage_path: ./runs             # each run gets a folder in it
# keep_checkpoints: 1            # how many of the best trials keep their weights
# recalibrate_batch_norm: auto   # or final, off, every_validation: when averages are recomputed
"""


def load_experiment(path: str | Path, overrides: Iterable[str] = ()) -> Experiment:
    """Return the experiment in the file ``path`` with each ``key.path=value`` of ``overrides`` set.

    Raises ``ExperimentFileError``, one line for each thing that is wrong.
    """
    return check(with_overrides(read_document(path), overrides))


def parse_experiment(content: Mapping[str, Any], overrides: Iterable[str] = ()) -> Experiment:
    """Return the experiment that a mapping describes, its references relative to where we are."""
    return check(with_overrides(Document(Path("experiment"), content), overrides))


def check(document: Document) -> Experiment:
    """Return the experiment that a document describes, its references resolved, its defaults filled in."""
    document, kept = resolved(document)
    own = name_of(document.path)
    content: dict[str, Any] = {"name": own, **document.content}
    is_numbered = content["name"] == NUMBERED
    if is_numbered:
        content["name"] = own
    faults: list[str] = []
    experiment = space = None
    try:
        experiment = Experiment.model_validate(content)
    except ValidationError as error:
        faults += sentences(error, document)
    if isinstance(content.get("search_space"), Mapping):
        try:
            space = Space.parse(content["search_space"], document.under(("search_space",)))
            if experiment is not None:
                where = document.where(("constraints",))
                space = space.constrained(experiment.constraints, where)
        except ExperimentFileError as error:
            faults.append(str(error))
    if experiment is None or faults:
        raise ExperimentFileError("\n".join(faults))
    experiment = experiment.at(document.path.absolute().parent, kept)
    experiment = experiment.written_at(Places(document.where), space)
    return experiment.numbered(own) if is_numbered else experiment


def name_of(path: Path) -> str:
    """Return the name of a run whose file gives none: the file's own, as a folder can have it."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", path.stem).lstrip(".") or "experiment"


def to_yaml(experiment: Experiment) -> str:
    """Return the complete file of an experiment, every default written out; it loads back equal.

    References to the environment stand in it as references.
    """
    return dump(as_written(experiment.model_dump(), experiment.references))


def with_overrides(document: Document, overrides: Iterable[str]) -> Document:
    """Return the document with each ``key.path=value`` set; the value is read as YAML.

    Whether the keys exist and the values fit is judged later, with the rest of the document.
    """
    content = deepcopy(dict(document.content))
    origins = dict(document.origins)
    for override in overrides:
        origin = f"--set {legible(override)}"
        key, equals, written = override.partition("=")
        path: KeyPath = tuple(part.strip() for part in key.split("."))
        if not equals or not all(path):
            raise ExperimentFileError(explain(origin, "expected key.path=value", override))
        value, _ = parse_value(written, origin)
        _put(content, path, value, origin)
        origins = {known: said for known, said in origins.items() if known[: len(path)] != path}
        origins[path] = origin
    return replace(document, content=content, origins=origins)


def _put(content: dict[str, Any], path: KeyPath, value: Any, origin: str) -> None:
    inside: Any = content
    for depth, part in enumerate(path[:-1], start=1):
        inner = spelt_out(path[:depth], inside.get(part))
        if not isinstance(inner, dict):
            expected = f"expected a mapping at {dotted(path[:depth])}, to set a key inside it"
            raise ExperimentFileError(explain(origin, expected, shown(inner)))
        inside[part] = inner
        inside = inner
    inside[path[-1]] = value


def write_template(file: Path) -> None:
    """Write the commented experiment file, which loads as ``examples/digits.yaml``, to a file that is not there yet."""
    try:
        with file.open("x", encoding="utf-8") as new:
            new.write(_TEMPLATE)
    except FileExistsError:
        expected = "expected a file that does not exist, since none is overwritten"
        raise PlaceError(explain("init", expected, str(file))) from None
    except OSError as error:
        received = f"{file}: {error.strerror}"
        raise PlaceError(explain("init", "expected a file that can be written", received)) from None
