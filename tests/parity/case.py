"""One line of the exam: a user's model, data and hyperparameters, and what plain Keras has to be told about them."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

USERS = Path(__file__).parent / "users"
REPORTED = Path(__file__).parent / "reported"
SEED = 11


@dataclass(frozen=True)
class Case:
    """A user's two functions, as ``file:function``, and the hyperparameters of the trial.

    ``head``: what an uncompiled model is compiled for by plain Keras: classification, logits, binary, binary_logits,
    multilabel, regression or raw_regression; None where the builder compiles. ``other``: what gives another structure.
    ``more``: further keys of the experiment file. ``callbacks``: the function of its callbacks. ``before``: what a warm
    worker trains before it: same, other, diverged or cut. ``cut``: after how many epochs and steps it is resumed.
    ``or_refuses``: what a refusal, as good as equality, has in it. ``unseen``: ways in which it cannot be compared, and
    why. ``texts``: the two files' text, where they are not among the users' here. ``folder``: one of ``reported/`` to
    copy instead, and ``experiment`` the file in it.
    """

    model: str
    data: str
    hp: Mapping[str, Any] = field(default_factory=dict)
    head: str | None = None
    epochs: int = 3
    more: Mapping[str, Any] = field(default_factory=dict)
    other: Mapping[str, Any] = field(default_factory=lambda: {"units": 5})
    before: tuple[str, ...] = ("same", "other", "diverged")
    cut: tuple[int, int] = (1, 1)
    texts: tuple[str, str] | None = None
    folder: str = ""
    experiment: str = ""
    rtol: float = 1e-4
    atol: float = 1e-5
    or_refuses: str = ""
    callbacks: str = ""
    unseen: Mapping[str, str] = field(default_factory=dict)

    @property
    def files(self) -> tuple[str, str]:
        """The names of the model's and the data's file where the trial trains."""
        if not self.folder:
            return "net.py", "data.py"
        return self.model.partition(":")[0], self.data.partition(":")[0]

    @property
    def hyperparameters(self) -> dict[str, Any]:
        """What the trial is given."""
        return {"units": 8, "batch_size": 32, **self.hp}

    def write(self, place: Path) -> Path:
        """Put the user's files into a folder, as ``net.py`` and ``data.py``, and return it."""
        if self.folder:
            return shutil.copytree(REPORTED / self.folder, place, dirs_exist_ok=True)
        place.mkdir(parents=True, exist_ok=True)
        files = (self.model, self.data)
        texts = self.texts or [(USERS / f.partition(":")[0]).read_text("utf-8") for f in files]
        for name, text in zip(("net.py", "data.py"), texts, strict=True):
            (place / name).write_text(text, "utf-8")
        return place


@dataclass(frozen=True)
class Trial:
    """What a trial trains with: the same for plain Keras and for ours."""

    hp: Mapping[str, Any]
    seed: int
    epochs: int


@dataclass(frozen=True, eq=False)
class Trained:
    """The metrics of each epoch and the predictions on the validation rows after the last.

    ``served``: what a saved file gives for them, in the user's own words: probabilities, quantities in their unit.
    """

    curve: list[dict[str, float]]
    predictions: Any
    served: Any = None
