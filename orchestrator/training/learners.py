"""Which of the two ways a trial's model learns."""

from __future__ import annotations

import keras

from orchestrator.training.compiled_learner import CompiledLearner
from orchestrator.training.compiling import Compiled
from orchestrator.training.fit_learner import FitLearner, why_fit
from orchestrator.training.learner import Fitting, Learner, Tensors
from orchestrator.training.one_fit_learner import OneFitLearner
from orchestrator.training.validation_metrics import ValidationMetrics


def make_learner(
    compiled: Compiled,
    tensors: Tensors,
    asked_momentum: float,
    by_name: ValidationMetrics,
    fitting: Fitting,
) -> tuple[Learner, str | None]:
    """Return the learner for a model and, where it is not the compiled one, why."""
    reason = why_fit(compiled.model, tensors.dataset)
    if fitting.callbacks or type(compiled.model).fit is not keras.Model.fit:
        why = reason or "it has callbacks"
        return OneFitLearner(compiled, tensors, asked_momentum, by_name, fitting), why
    if reason is None:
        return CompiledLearner(compiled, tensors, asked_momentum, by_name), None
    return FitLearner(compiled, tensors, asked_momentum, by_name), reason
