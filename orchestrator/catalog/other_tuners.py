"""Builders written for KerasTuner or Optuna, told by what they ask of their first argument, and what to write here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from orchestrator.domains import (
    Choice,
    Domain,
    Fixed,
    Integer,
    InvalidDomain,
    LogInteger,
    LogUniform,
    Uniform,
)

_ARGUMENTS = {
    "Int": ("name", "min", "max", "step", "sampling"),
    "Float": ("name", "min", "max", "step", "sampling"),
    "Choice": ("name", "values"),
    "Boolean": ("name",),
    "Fixed": ("name", "value"),
    "suggest_int": ("name", "min", "max"),
    "suggest_float": ("name", "min", "max"),
    "suggest_uniform": ("name", "min", "max"),
    "suggest_loguniform": ("name", "min", "max"),
    "suggest_categorical": ("name", "values"),
}
"""Their calls, and what the arguments mean by position."""
_SYNONYMS = {
    "min_value": "min",
    "max_value": "max",
    "low": "min",
    "high": "max",
    "choices": "values",
}


def written_for_another(function: ast.FunctionDef | ast.AsyncFunctionDef, file: str) -> str | None:
    """Return what to write instead, for a builder that draws its hyperparameters itself; None for any other."""
    arguments = [*function.args.posonlyargs, *function.args.args]
    calls = list(_draws(function, arguments[0].arg)) if arguments else []
    calls.sort(key=lambda call: (call.lineno, call.col_offset))
    if not calls:
        return None
    first, hp = calls[0], arguments[0].arg
    method = first.func.attr if isinstance(first.func, ast.Attribute) else ""
    whose = "Optuna" if method.startswith("suggest") else "KerasTuner"
    name = _constants(first).get("name", "units")
    message = (
        f"expected {function.name}(hp, input_shape, num_classes) that finds a trial's values in hp, a mapping, as"
        f" hp[{name!r}]. Received: {hp}.{method}({name!r}, ...) in {file} line {first.lineno}, as for {whose}."
    )
    ranges = {_constants(call).get("name"): domain for call in calls if (domain := _domain(call))}
    listed = "; ".join(f"{name}: {domain}" for name, domain in ranges.items())
    return message + (f" The ranges go into search_space: {listed}." if listed else "")


def _draws(function: ast.AST, hp: str) -> Iterator[ast.Call]:
    """Yield the calls that draw a hyperparameter from the argument ``hp``; none where that name gets another value."""
    nodes = list(ast.walk(function))
    names = [node for node in nodes if isinstance(node, ast.Name) and node.id == hp]
    if any(isinstance(name.ctx, ast.Store) for name in names):
        return
    for node in nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            on = node.func.value
            if isinstance(on, ast.Name) and on.id == hp and node.func.attr in _ARGUMENTS:
                yield node


def _constants(call: ast.Call) -> dict[str, Any]:
    """Return the arguments of a call that are written out."""
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    given = dict(zip(_ARGUMENTS[method], call.args, strict=False))
    given |= {_SYNONYMS.get(each.arg, each.arg): each.value for each in call.keywords if each.arg}
    found = {}
    for name, node in given.items():
        try:
            found[name] = ast.literal_eval(node)
        except (ValueError, TypeError, SyntaxError):
            continue
    return found


def _domain(call: ast.Call) -> Domain | None:
    """Return the domain that a call draws from; None where its arguments are not written out."""
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    given = _constants(call)
    logarithmic = given.get("sampling") in ("log", "LOG") or given.get("log") is True
    ends: dict[str, Any] = {"min": given.get("min"), "max": given.get("max")}
    stepped = ends | {"step": given.get("step")}
    try:
        match method:
            case "Boolean":
                return Choice((True, False))
            case "Fixed":
                return Fixed(given["value"])
            case "Choice" | "suggest_categorical":
                return Choice(tuple(given["values"]))
            case "Int" | "suggest_int":
                return LogInteger(**ends) if logarithmic else Integer(**stepped)
            case "suggest_loguniform":
                return LogUniform(**ends)
        return LogUniform(**ends) if logarithmic else Uniform(**stepped)
    except (InvalidDomain, KeyError, TypeError):
        return None
