"""What hypothesis makes: texts, values, spaces and whole experiments, right ones and nearly right ones."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

from orchestrator.domains.parse import DISTRIBUTIONS

VALID: dict[str, Any] = {
    "name": "one",
    "model": "mlp",
    "data": {"source": "digits", "validation": 0.2, "test": 0.2, "scale": "auto"},
    "search_space": {
        "learning_rate": "loguniform(1e-3, 1)",
        "optimizer": "choice([sgd, adam])",
        "momentum": {"when": {"optimizer": "sgd"}, "domain": "one_minus_loguniform(0.9, 0.99)"},
        "hidden_layers": "integer(1, 3)",
    },
    "strategy": "caviar",
    "metric": "val_accuracy",
    "mode": "max",
    "epochs": 3,
    "seed": 0,
    "caviar": {"num_samples": 4, "scheduler": {"asha": {"grace_period": 1, "reduction_factor": 3}}},
    "panda": {
        "start": {"learning_rate": 0.1}, "day": "2 epochs", "days": 3, "sitter": {"mode": "act"},
        "schedule": [{"epoch": 1, "set": {"learning_rate": 0.01}}],
    },
    "resources": {"cpu": 1, "gpu": 0},
    "limits": {"max_trials": 4},
    "storage_path": "runs",
    "keep_checkpoints": 1,
}  # fmt: skip
WORDS = st.sampled_from(
    ["mlp", "cnn", "digits", "auto", "none", "asha", "median", "off", "on", "act", "panda", "caviar", "min", "max",
     "./x.py", "./x.npz:y", "../..", "/", "~", "a.b:c", "os:system", "1e3", ".nan", "-.inf", "1e999", "0x1F", "12:30",
     "${ENV:HOME}", "${ENV:}", "${ENV:NO_SUCH}", "x\0y", "\x1b[2J", "\ud800", "😀", "a" * 300, "<<",
     "!!python/name:os.system", "uniform(0, 1)", "choice([1, 2", "integer(1, 1e400)", "3 epochs", "0 minutes",
     "val_loss", "=1", "val_accuracy"]
)  # fmt: skip
TEXTS = st.text(max_size=20) | WORDS
NUMBERS = (
    st.integers(-5, 5)
    | st.integers()
    | st.floats()
    | st.sampled_from([2**31, 2**53, 2**64, 10**400, 1e-320, 1e308, -0.0])
)
SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["learning_rate", "momentum", "optimizer", "hidden_layers", "batch_size", "one_minus_momentum",
                         "units", "x"]) | st.text(max_size=8)  # fmt: skip


@st.composite
def calls(draw: st.DrawFn) -> str:
    """A short form, or what one could take for it."""
    name = draw(st.sampled_from([*DISTRIBUTIONS, "unifrom", "", "choice "]))
    given = [
        draw(st.sampled_from(["", "min=", "max=", "step=", "values="]))
        + str(draw(SCALARS | st.lists(SCALARS, max_size=3)))
        for _ in range(draw(st.integers(0, 4)))
    ]  # fmt: skip
    return (
        name
        + draw(st.sampled_from(["(", "((", "", "["]))
        + ", ".join(given)
        + draw(st.sampled_from([")", "", "])"]))
    )


def domains() -> st.SearchStrategy[Any]:
    """What may stand behind a hyperparameter's name."""
    ends = {"min": NUMBERS, "max": NUMBERS, "step": NUMBERS, "values": st.lists(SCALARS, max_size=4), "value": SCALARS,
            "domain": calls() | SCALARS, "when": st.dictionaries(NAMES, VALUES, max_size=2),
            "distribution": st.sampled_from(DISTRIBUTIONS) | TEXTS}  # fmt: skip
    return calls() | VALUES | st.fixed_dictionaries({}, optional=ends)


def spaces() -> st.SearchStrategy[dict[Any, Any]]:
    """A search space."""
    return st.dictionaries(NAMES, domains(), max_size=5)


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    here = [path] if path else []
    if isinstance(value, dict):
        return here + [
            place for key, item in value.items() for place in _places(item, (*path, key))
        ]
    if isinstance(value, list):
        return here + [
            place for at, item in enumerate(value) for place in _places(item, (*path, at))
        ]
    return here


@st.composite
def near_valid(draw: st.DrawFn) -> dict[Any, Any]:
    """A valid experiment with a few of its keys changed, misspelt, moved or taken away."""
    content = copy.deepcopy(VALID)
    if draw(st.booleans()):
        del content["panda"]
    if draw(st.booleans()):
        content["search_space"] = draw(spaces())
    for _ in range(draw(st.integers(0, 3))):
        place = draw(st.sampled_from(_places(content)))
        inside = content
        for part in place[:-1]:
            inside = inside[part]
        match draw(st.sampled_from(["change", "delete", "rename", "add"])):
            case "change":
                inside[place[-1]] = draw(VALUES)
            case "delete":
                del inside[place[-1]]
            case "rename" if isinstance(inside, dict):
                inside[draw(TEXTS)] = inside.pop(place[-1])
            case "add" if isinstance(inside, dict):
                inside[draw(st.sampled_from(list(VALID)) | TEXTS)] = draw(VALUES)
    return content


@st.composite
def overrides(draw: st.DrawFn) -> str:
    """What may follow --set."""
    place = draw(st.sampled_from(_places(VALID)) | st.lists(TEXTS, max_size=3).map(tuple))
    value = draw(
        SCALARS.map(str) | calls() | st.text(alphabet="{}[]:,&*!|>'\"%@`#-? \n\tax1.", max_size=12)
    )
    return ".".join(map(str, place)) + draw(st.sampled_from(["=", "=", "=", "", " = "])) + value
