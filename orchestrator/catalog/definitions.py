"""What a Python file defines, and whether a builder is written for KerasTuner or Optuna: known without running it."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from orchestrator.catalog.imports import parse_file
from orchestrator.errors import ExperimentFileError, UnknownNameError, explain

if TYPE_CHECKING:
    from orchestrator.domains import Domain

_Function = ast.FunctionDef | ast.AsyncFunctionDef
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


def check_function(path: Path, function: str, arguments: int, where: str) -> None:
    """Return when the file parses and defines ``function`` so that it takes ``arguments`` of them.

    A name that is imported or assigned counts as defined: only running the file could tell more.
    """
    tree = parse_file(path, where)
    functions = {node.name: node for node in tree.body if isinstance(node, _Function)}
    bound = set(_bound_names(tree.body))
    if function not in bound and "*" not in bound:
        known = [name for name in functions if not name.startswith("_")]
        what = f"a function {function!r} in {path.name}"
        if not known:
            end = _of_a_class(tree, function) or ", which defines no function."
            raise UnknownNameError(f"{where}: {what} was expected{end}")
        raise UnknownNameError(explain(where, what, function, known))
    node = functions.get(function)
    instead = written_for_another(node, path.name) if node is not None and arguments == 3 else None
    if instead is not None:
        raise ExperimentFileError(f"{where}: {instead}")
    if isinstance(node, ast.AsyncFunctionDef):
        expected = f"a function that can be called without await was expected. Received: async def {function}"
        raise ExperimentFileError(f"{where}: {expected} in {path.name} line {node.lineno}.")
    yields = arguments == 2 and node is not None and _takes(node, 1)  # a generator needs no report
    if node is not None and not (yields or _takes(node, arguments)):
        wanted = {3: "(hp, input_shape, num_classes)", 2: "(hp, report)", 1: "(hp)"}.get(
            arguments, "()"
        )
        raise ExperimentFileError(
            f"{where}: a function that can be called as {function}{wanted} was expected. "
            f"Received: {function}({ast.unparse(node.args)}) in {path.name} line {node.lineno}."
        )


def check_class(path: Path, name: str, where: str) -> None:
    """Return when the file parses and its top level binds ``name``: a class, or a function that makes one."""
    tree = parse_file(path, where)
    bound = set(_bound_names(tree.body))
    if name not in bound and "*" not in bound:
        known = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
        raise UnknownNameError(explain(where, f"a class {name!r} in {path.name}", name, known))


def refuse_another_tuners(function: Any, where: str) -> None:
    """Raise ExperimentFileError for a builder given in Python that is written for another tuner."""
    try:
        text = textwrap.dedent(inspect.getsource(function))
        file = Path(inspect.getsourcefile(function) or "its source").name
        node = ast.parse(text).body[0]
    except (OSError, TypeError, SyntaxError):
        return
    instead = written_for_another(node, file) if isinstance(node, _Function) else None
    if instead is not None:
        raise ExperimentFileError(f"{where}: {instead}")


def _of_a_class(tree: ast.Module, function: str) -> str:
    """Return a sentence's end that says so where a function is there, but as a class's."""
    for node in tree.body:
        inside = node.body if isinstance(node, ast.ClassDef) else []
        if any(isinstance(each, _Function) and each.name == function for each in inside):
            name = node.name if isinstance(node, ast.ClassDef) else ""
            return f", and not one of the class {name}: write it at the top of the file."
    return ""


def _bound_names(body: list[ast.stmt]) -> Iterator[str]:
    """Yield the names that a module's top level binds, also inside ``if`` and ``try``."""
    for node in body:
        yield from _bound_by(node)
        for field in ("body", "orelse", "finalbody", "handlers"):
            inside = [] if isinstance(node, _Function | ast.ClassDef) else getattr(node, field, [])
            yield from _bound_names(inside)


def _bound_by(node: ast.stmt) -> list[str]:
    if isinstance(node, _Function | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.Import | ast.ImportFrom):
        return [(alias.asname or alias.name).partition(".")[0] for alias in node.names]
    if isinstance(node, ast.Assign | ast.AnnAssign):
        return [item.id for item in ast.walk(node) if isinstance(item, ast.Name)]
    return []


def _takes(node: _Function, arguments: int) -> bool:
    """Return whether a function can be called with that many positional arguments, beside the ``seed`` of a trial's."""
    if node.decorator_list:
        return True
    is_trial = arguments <= 2
    seeds = is_trial and any(each.arg == "seed" for each in node.args.args[1:])
    places = len(node.args.posonlyargs) + len(node.args.args) - seeds
    required = max(0, places - len(node.args.defaults))
    named = zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    named_only = any(d is None and not (is_trial and each.arg == "seed") for each, d in named)
    fits = required <= arguments and (arguments <= places or node.args.vararg is not None)
    return fits and not named_only


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
    if whose == "KerasTuner":
        message += " As it stands it can be a trial, {keras_tuner: ...}, in place of a model."
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
    from orchestrator.domains import (  # NumPy: not for --help
        Choice,
        Fixed,
        Integer,
        InvalidDomain,
        LogInteger,
        LogUniform,
        Uniform,
    )

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
