"""Random models and data, as users might write them: parts that are drawn, and the two files that they make."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import Any

from tests.parity.case import Case
from tests.parity.parts import (
    ACTIVATIONS,
    FEATURES,
    HEADS,
    LABELS,
    LAYERS,
    METRICS,
    OPTIMIZERS,
    TRAINING,
    Head,
    rank_after,
)


@dataclass(frozen=True)
class Sample:
    """A drawn model, its data and what its trial goes through; every part can be left out or made plainer."""

    features: str
    dtype: str
    labels: str
    head: str
    body: tuple[str, ...]
    compiled: bool
    optimizer: str = ""
    metrics: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    training: tuple[tuple[str, Any], ...] = ()
    weighted: bool = False
    style: str = "sequential"
    split: bool = False
    rows: int = 90
    epochs: int = 2
    batch_size: int = 32
    before: tuple[str, ...] = ()
    cut: tuple[int, int] = (1, 0)

    @property
    def _unseen(self) -> dict[str, str]:
        if self.style == "subclassed":
            return {"saved": "its class is not registered with Keras"}
        return {}

    @property
    def case(self) -> Case:
        """The sample as a case of the exam."""
        head = HEADS[self.head]
        rate = {"rate": 0.01} if 'hp["rate"]' in self.optimizer else {}
        return Case(
            "net.py:build",
            "data.py:load",
            hp={"batch_size": self.batch_size, **dict(self.training), **rate},
            head=None if self.compiled else head.task,
            epochs=self.epochs,
            texts=(net_source(self), data_source(self)),
            before=self.before,
            cut=self.cut,
            unseen=self._unseen,
            rtol=1e-3 if "float16" in " ".join((*self.body, *self.options)) else 2e-4,
        )


def draw(seed: int, number: int) -> Sample:
    """Return the sample of this number: the same for the same seed."""
    r = random.Random(f"{seed} {number}")
    labels = r.choice(list(LABELS))
    features = r.choice(list(FEATURES))
    form = FEATURES[features]
    heads = [name for name, head in HEADS.items() if labels in head.labels]
    head = r.choice(heads)
    compiled = HEADS[head].task is None or (bool(HEADS[head].loss) and r.random() < 0.65)
    return Sample(
        features=features,
        dtype=r.choice(form.dtypes),
        labels=labels,
        head=head,
        body=_body(r, form.rank),
        compiled=compiled,
        optimizer=r.choice(OPTIMIZERS) if compiled else "",
        metrics=_some(r, METRICS.get(HEADS[head].metrics, ()), 3) if compiled else (),
        options=_some(r, ("steps_per_execution=2", "run_eagerly=True"), 1) * (r.random() < 0.2)
        if compiled
        else (),
        training=() if compiled else tuple(sorted(r.choice(TRAINING).items())),
        weighted=r.random() < 0.1,
        style=r.choice(["sequential", "functional", "subclassed"]),
        split=r.random() < 0.15,
        rows=r.choice([60, 75, 96]),
        epochs=r.choice([1, 2, 3]),
        batch_size=r.choice([8, 16, 25, 32, 200]),
        before=tuple(r.choices(["same", "other", "diverged", "cut"], k=r.randrange(4))),
        cut=(r.randrange(2), r.randrange(3)),
    )


def _some(r: random.Random, of: Any, most: int) -> tuple[str, ...]:
    return tuple(sorted(r.sample(list(of), min(len(of), r.randrange(most + 1)))))


def _body(r: random.Random, rank: int) -> tuple[str, ...]:
    """Draw layers that follow one another; the last bring it to one dimension a row."""
    body: list[str] = []
    if rank == 0:
        body.append(r.choice(LAYERS[0]))
        rank = rank_after(body[-1], 0)
    for _ in range(r.randrange(4)):
        layer = r.choice(LAYERS[rank]).replace("ACT", repr(r.choice(ACTIVATIONS)))
        body.append(layer)
        rank = rank_after(layer, rank)
    if rank > 1:
        body.append("layers.Flatten()")
    body.append('layers.Dense(hp["units"], activation="relu")')
    return tuple(body)


def net_source(sample: Sample) -> str:
    """Return the user's model file."""
    head = HEADS[sample.head]
    lines = ["import keras", "from keras import layers", "", ""]
    write = {"sequential": _sequential, "functional": _functional, "subclassed": _subclassed}
    lines += write[sample.style](sample, head)
    if sample.compiled:
        options = "".join(f", {option}" for option in sample.options)
        metrics = f"metrics=[{', '.join(sample.metrics)}]"
        lines += [f"    model.compile({sample.optimizer}, {head.loss}, {metrics}{options})"]
    return "\n".join([*lines, "    return model", ""])


def _sequential(sample: Sample, head: Head) -> list[str]:
    layers = [_input(sample), *sample.body, head.layer]
    return [
        "def build(hp, input_shape, num_classes):",
        "    model = keras.Sequential([",
        *(f"        {layer}," for layer in layers),
        "    ])",
    ]


def _functional(sample: Sample, head: Head) -> list[str]:
    lines = ["def build(hp, input_shape, num_classes):", f"    x = inputs = {_input(sample)}"]
    lines += [f"    x = {layer}(x)" for layer in (*sample.body, head.layer)]
    return [*lines, "    model = keras.Model(inputs, x)"]


def _subclassed(sample: Sample, head: Head) -> list[str]:
    names = [f"layer_{at}" for at in range(len(sample.body) + 1)]
    return [
        "class Net(keras.Model):",
        "    def __init__(self, hp):",
        "        super().__init__()",
        *(
            f"        self.{name} = {layer}"
            for name, layer in zip(names, (*sample.body, head.layer), strict=True)
        ),
        "",
        "    def call(self, x, training=False):",
        *(f"        x = self.{name}(x)" for name in names),
        "        return x",
        "",
        "",
        "def build(hp, input_shape, num_classes):",
        "    model = Net(hp)",
    ]


def _input(sample: Sample) -> str:
    kind = FEATURES[sample.features]
    return (
        f"keras.Input(input_shape, dtype={kind.input!r})"
        if kind.input
        else "keras.Input(input_shape)"
    )


def data_source(sample: Sample) -> str:
    """Return the user's data file."""
    features, labels = FEATURES[sample.features], LABELS[sample.labels]
    lines = [
        "import numpy as np",
        "",
        "",
        "def load():",
        "    r = np.random.default_rng(0)",
        f"    kind = np.arange({sample.rows}) % 3",
        f"    x = {features.source.replace('ROWS', str(sample.rows))}",
        f"    x = x.astype({sample.dtype!r})",
        f"    y = {labels.replace('ROWS', str(sample.rows))}",
    ]
    weight = ", np.where(kind == 1, 2.0, 0.5)" if sample.weighted else ""
    if not sample.split:
        return "\n".join([*lines, f"    return x, y{weight}", ""])
    cut = sample.rows // 3
    pieces = {"train": f"{2 * cut}:", "validation": f"{cut}:{2 * cut}", "test": f":{cut}"}
    lines += [f"    w = {weight[2:]}"] if weight else []
    more = ", w[{0}]" if weight else ""
    lines += ["    return {"]
    lines += [
        f"        {name!r}: (x[{rows}], y[{rows}]{more.format(rows)}),"
        for name, rows in pieces.items()
    ]
    return "\n".join([*lines, "    }", ""])


def plainer(sample: Sample) -> list[Sample]:
    """Return the samples with one part left out or made plainer, the largest steps first."""
    found: list[Sample] = []
    for name, value in (
        ("before", ()),
        ("body", sample.body[-1:] if FEATURES[sample.features].rank == 1 else sample.body),
        ("metrics", ()),
        ("options", ()),
        ("weighted", False),
        ("split", False),
        ("epochs", 1),
        ("cut", (1, 0)),
        ("style", "sequential"),
        ("batch_size", 32),
        ("dtype", FEATURES[sample.features].dtypes[0]),
        ("optimizer", OPTIMIZERS[0] if sample.compiled else ""),
        ("training", ()),
    ):
        if getattr(sample, name) != value:
            found.append(replace(sample, **{name: value}))
    for name in ("before", "body", "metrics"):
        parts = getattr(sample, name)
        for at in range(len(parts) - (name == "body")):
            found.append(replace(sample, **{name: parts[:at] + parts[at + 1 :]}))
    return found
