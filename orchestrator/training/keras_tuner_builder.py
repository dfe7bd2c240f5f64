"""KerasTuner's builders as builders of Keras models: ``build_model(hp)`` and HyperModels build as they stand.

``hp`` answers with a trial's values. A HyperModel's own ``fit`` is what the model's ``fit`` does.
"""

from __future__ import annotations

import inspect
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from orchestrator.catalog import CallableReference
from orchestrator.catalog.user_code import beside
from orchestrator.domains import Choice, Domain, Fixed, InvalidDomain
from orchestrator.errors import TrialError, explain
from orchestrator.trials.asking import (
    Answers,
    Drawn,
    Reported,
    choice_of,
    float_domain,
    int_domain,
)

ROWS_SHOWN = 8
"""Rows of zeros on which a HyperModel's own fit is run for what it asks for."""


class TunerHyperparameters:
    """What a builder is given in place of ``keras_tuner.HyperParameters``."""

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self._scopes: list[str] = []
        self._inactive = 0
        self._values: dict[str, Any] = {}

    @property
    def values(self) -> dict[str, Any]:
        """The values that were asked for so far."""
        return dict(self._values)

    def Int(  # noqa: PLR0913 (KerasTuner's own names and arguments)
        self, name: str, min_value: int, max_value: int, step: int | None = None,
        sampling: str = "linear", default: Any = None,
        parent_name: str | None = None, parent_values: Any = None,
    ) -> Any:  # fmt: skip
        """Return a whole number from ``min_value`` to ``max_value``, both included."""
        ends = int(min_value), int(max_value)
        domain = (
            _geometric(*ends, step)
            if sampling == "log" and step
            else int_domain(*ends, step, sampling == "log")
        )
        return self._ask(name, domain, int, self._beside(parent_name, parent_values))

    def Float(  # noqa: PLR0913
        self, name: str, min_value: float, max_value: float, step: float | None = None,
        sampling: str = "linear", default: Any = None,
        parent_name: str | None = None, parent_values: Any = None,
    ) -> Any:  # fmt: skip
        """Return a number from ``min_value`` to ``max_value``."""
        ends = float(min_value), float(max_value)
        domain = (
            _geometric(*ends, step)
            if sampling == "log" and step
            else float_domain(*ends, step, sampling == "log")
        )
        return self._ask(name, domain, float, self._beside(parent_name, parent_values))

    def Choice(  # noqa: PLR0913
        self, name: str, values: Sequence[Any], ordered: bool | None = None, default: Any = None,
        parent_name: str | None = None, parent_values: Any = None,
    ) -> Any:  # fmt: skip
        """Return one of ``values``."""
        domain, _ = choice_of(values)
        return self._ask(name, domain, _as_it_is, self._beside(parent_name, parent_values))

    def Boolean(
        self,
        name: str,
        default: bool = False,
        parent_name: str | None = None,
        parent_values: Any = None,
    ) -> Any:
        """Return False or True."""
        return self._ask(
            name, Choice((False, True)), bool, self._beside(parent_name, parent_values)
        )

    def Fixed(
        self, name: str, value: Any, parent_name: str | None = None, parent_values: Any = None
    ) -> Any:
        """Return ``value``."""
        return self._ask(name, Fixed(value), _as_it_is, self._beside(parent_name, parent_values))

    def get(self, name: str) -> Any:
        """Return the value of a hyperparameter that was asked for before. Raises KeyError for any other."""
        full = self._full(name)
        if full not in self._values:
            raise KeyError(f"{full} does not exist.")
        return self._values[full]

    __getitem__ = get

    def __contains__(self, name: object) -> bool:
        return self._full(str(name)) in self._values

    def is_active(self, name: Any) -> bool:
        """Return whether a hyperparameter was asked for beside these values of the others."""
        return str(getattr(name, "name", name)) in self._values

    @contextmanager
    def name_scope(self, name: str) -> Iterator[None]:
        """Put ``name/`` before the names in the block."""
        self._scopes.append(name)
        try:
            yield
        finally:
            self._scopes.pop()

    @contextmanager
    def conditional_scope(self, parent_name: str, parent_values: Any) -> Iterator[None]:
        """Have what the block asks for exist only beside these values of another one."""
        full = self._full(parent_name)
        values = parent_values if isinstance(parent_values, list | tuple) else [parent_values]
        absent = self._values.get(full) not in values
        self._inactive += absent
        try:
            yield
        finally:
            self._inactive -= absent

    def _full(self, name: str) -> str:
        return "/".join([*self._scopes, str(name)])

    def _beside(self, parent_name: str | None, parent_values: Any) -> AbstractContextManager[None]:
        return self.conditional_scope(parent_name, parent_values) if parent_name else nullcontext()

    def _ask(
        self,
        name: str,
        domain: Domain,
        kind: Callable[[Any], Any],
        scope: AbstractContextManager[None],
    ) -> Any:
        with scope:
            if self._inactive:
                return None
            full = self._full(name)
            self._values[full] = kind(self._answers.value(full, domain))
            return self._values[full]


def _as_it_is(value: Any) -> Any:
    return value


def _geometric(low: float, high: float, step: float) -> Domain:
    """Return min, min x step, min x step², …, up to max."""
    if step <= 1 or low <= 0:
        raise InvalidDomain("expected min above 0 and a step above 1, since it multiplies", step)
    count = math.floor(math.log(high / low) / math.log(step) + 1e-9) + 1
    return Choice(tuple(type(low)(low * step**power) for power in range(count)))


def _hyperparameters(answers: Answers) -> TunerHyperparameters:
    """Return what a builder is given; where it has imported KerasTuner, it also passes as one of its."""
    real = getattr(sys.modules.get("keras_tuner"), "HyperParameters", None)
    kind: type[TunerHyperparameters] = TunerHyperparameters
    kind = kind if real is None else type("HyperParameters", (TunerHyperparameters, real), {})
    return kind(answers)


@dataclass(frozen=True)
class KerasTunerBuilder(CallableReference):
    """A builder of KerasTuner's somewhere, which loads as the function ``build(hp, input_shape, num_classes)``."""

    def load(self, fresh: bool = False) -> Callable[..., Any]:
        """Return the function. Raises as CallableReference's does."""
        found = super().load(fresh)
        folder = self.file.parent if self.file is not None and self.kind == "file" else None

        def build(hp: Mapping[str, Any], *shape: Any) -> Any:
            answers = Drawn(hp, self.text)
            with beside(folder) if folder else nullcontext():
                return _built(found, _hyperparameters(answers))

        return build


def explored(found: Callable[..., Any], answers: Answers) -> None:
    """Build a model for the hyperparameters that its builder asks for, and those that a fit of its own asks for."""
    model: Any = _built(found, _hyperparameters(answers))
    if "_tuner_hp" not in vars(model):
        return
    import numpy as np

    def trains(*_: Any, **options: Any) -> Any:
        raise Reported

    for name in ("fit", "train_on_batch"):
        object.__setattr__(model, name, trains)
    x = np.zeros((ROWS_SHOWN, *(size or 1 for size in model.input_shape[1:])), "float32")
    y = np.zeros((ROWS_SHOWN,), "int32")
    model.fitted_by(x, y, validation_data=(x, y), callbacks=[], epochs=1, verbose=0)


def _built(found: Callable[..., Any], hp: TunerHyperparameters) -> Any:
    """Return the model of a function, of a class of HyperModels or of one of them."""
    hypermodel = _hypermodel(getattr(found, "__wrapped__", found))
    if hypermodel is None:
        return found(hp)
    model = hypermodel.build(hp)
    if _has_own_fit(hypermodel):
        _fit_by(model, hypermodel, hp)
    return model


def _hypermodel(found: Any) -> Any:
    if inspect.isclass(found):
        found = found()
    return found if hasattr(found, "build") and hasattr(found, "fit") else None


def _has_own_fit(hypermodel: Any) -> bool:
    plain = getattr(sys.modules.get("keras_tuner"), "HyperModel", None)
    return getattr(type(hypermodel), "fit", None) is not getattr(plain, "fit", None)


class _Fitted:
    """What is put before the class of a model that a HyperModel's own fit trains.

    That fit is given what a KerasTuner search gives it: rows, validation rows and callbacks. What else the model's fit
    is told (epochs, the size of a batch) reaches its own where the HyperModel's says nothing of it.
    """

    def fit(self, *data: Any, **options: Any) -> Any:
        """Train: by the HyperModel's fit, which calls this one again for the model's own."""
        waiting = self.__dict__.get("_waiting_options")
        if waiting is not None:
            return super().fit(*data, **{**waiting, **options})  # type: ignore[misc]
        names = inspect.signature(type(self.__dict__["_hypermodel"]).fit).parameters
        given = {n: v for n, v in options.items() if n in names or n in OF_A_SEARCH}
        object.__setattr__(
            self, "_waiting_options", {n: v for n, v in options.items() if n not in given}
        )
        try:
            return self.fitted_by(*data, **given)
        finally:
            object.__setattr__(self, "_waiting_options", None)

    def fitted_by(self, *data: Any, **options: Any) -> Any:
        """Call the HyperModel's fit."""
        return self.__dict__["_hypermodel"].fit(self.__dict__["_tuner_hp"], self, *data, **options)


OF_A_SEARCH = ("validation_data", "callbacks", "verbose")
"""What a fit of a HyperModel's is given by any search."""


def _fit_by(model: Any, hypermodel: Any, hp: TunerHyperparameters) -> None:
    """Have a model train by its HyperModel's fit; in a file it stays what it is."""
    if not hasattr(model, "compile"):
        raise TrialError(explain("build", "expected a keras.Model", type(model).__name__))
    kind = type(model)
    names = {"__module__": kind.__module__, "__qualname__": kind.__qualname__}
    object.__setattr__(model, "__class__", type(kind.__name__, (_Fitted, kind), names))
    object.__setattr__(model, "_hypermodel", hypermodel)
    object.__setattr__(model, "_tuner_hp", hp)
