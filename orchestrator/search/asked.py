"""Searchers, and schedulers of the user's own, as they are asked in a run: one that fails ends no run."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Self

import numpy as np

from orchestrator.catalog import UsersCode
from orchestrator.domains import Space
from orchestrator.errors import OrchestratorError
from orchestrator.redaction import redacted
from orchestrator.searchers import Observation, Searcher, misfit


class Asked:
    """Something that is asked; where its code raises or answers wrongly, that is said once."""

    otherwise = ""

    def __init__(self, made: Any, where: str, file: str | None) -> None:
        self._made = made
        self._where = where
        self._file = file
        self._prints_aside = True
        self.fault = ""

    def _ask(self, method: str, *told: Any) -> Any:
        try:
            with UsersCode(self._where, self._file, aside=self._prints_aside):
                answer = getattr(self._made, method)(*told)
            return self._checked(method, answer)
        except OrchestratorError as error:
            self._say(str(error))
        except (TypeError, ValueError) as error:
            self._say(f"{self._where}: {error}.")
        except SystemExit:
            self._say(f"{self._where}: its code ended the process in {method}.")
        return None

    def _say(self, fault: str) -> None:
        if not self.fault:
            sys.stderr.write(f"{redacted(fault)} {self.otherwise}\n")
        self.fault = self.fault or fault

    def _checked(self, method: str, answer: Any) -> Any:
        """Return an answer as it is used. Raises TypeError for one that breaks the contract."""
        raise NotImplementedError


class AskedSearcher(Asked):
    """Asks a searcher; where its code raises, or proposes what is not in the space, the trial is drawn."""

    otherwise = "If this searcher fails, trials are drawn at random."

    def __init__(self, made: Any, where: str, file: str | None, space: Space) -> None:
        super().__init__(made, where, file)
        self._space = space
        self._has_none_now = False
        self.failure = ""

    @classmethod
    def ours(cls, made: Searcher, name: str, space: Space) -> Self:
        """Return one that asks a searcher of ours, which prints nothing."""
        asked = cls(made, f"caviar.searcher {name}", None, space)
        asked._prints_aside = False
        return asked

    @property
    def exhausted(self) -> str:
        """What a searcher of ours says once it has tried all that there is; empty before, and of another one."""
        return str(getattr(self._made, "exhausted", ""))

    def begin_at(self, index: int) -> None:
        """Have trial ``index`` be the first, where that makes a difference to the searcher."""
        if hasattr(self._made, "begin_at"):
            self._made.begin_at(index)

    def ask(self, index: int) -> Mapping[str, Any] | None:
        """Return its proposal; ``failure`` says afterwards why it has none, empty where it did not fail."""
        self._has_none_now, self.failure = False, ""
        asked = self._ask("ask", index)
        return asked if self._has_none_now else asked or {}

    def tell(self, observation: Observation) -> None:
        """Tell the searcher."""
        self._ask("tell", observation)

    def _say(self, fault: str) -> None:
        super()._say(fault)
        self.failure = redacted(fault)

    def _checked(self, method: str, answer: Any) -> Any:
        if method == "tell":
            return None
        self._has_none_now = answer is None
        fault = misfit(answer, self._space)
        if fault is not None:
            raise TypeError(f"ask: {fault}")
        if answer is None:
            return None
        plain = (
            value.item() if isinstance(value, np.generic) else value for value in answer.values()
        )
        return dict(zip(answer, plain, strict=True))
