"""What trial builds refuse, what they leave to the trials, and what they learn. The process is played by a function."""

from __future__ import annotations

import pytest

from orchestrator.config import parse_experiment
from orchestrator.domains import Space
from orchestrator.errors import ExperimentFileError, TrialError
from orchestrator.experiment.kinds.trial_builds import try_builds
from orchestrator.search import make_plan
from orchestrator.training.trial_process import NoAnswer, Seen


class Played:
    """A process whose builder is a function: it reads a mapping and may raise."""

    def __init__(self, builder):
        self.builder, self.asked = builder, []

    def build(self, setup, hyperparameters, seed):
        self.asked.append(dict(hyperparameters))
        reads = _Reads(hyperparameters)
        compiled = bool(self.builder(reads))
        return Seen(frozenset(reads.names), compiled, plain_rate=compiled, looked=setup)


class _Reads(dict):
    def __init__(self, values):
        super().__init__(values)
        self.names = set()

    def get(self, name, default=None):
        self.names.add(name)
        return super().get(name, default)


def raises(said):
    raise TrialError(f"model ./net.py: its code raised {said} (net.py line 3, in build).")


def learn(builder, trials=12, enough=lambda learned: True, **keys):
    experiment = parse_experiment(
        {"name": "one", "model": "./net.py", "data": "digits", "caviar": {"num_samples": trials}}
        | keys
    )
    plan = make_plan(experiment, Space.parse(experiment.search_space))
    process = Played(builder)
    return try_builds(process, "setup", plan, enough), process


def dropout_up_to_1(hp):
    if not 0 <= hp.get("dropout", 0) <= 1:
        raises(f"ValueError: rate={hp.get('dropout')}")


def test_an_end_that_the_builder_refuses_is_refused_with_its_line_and_what_was_tried():
    space = {"dropout": "uniform(0, 20)", "units": 8}

    def below_20(hp):
        if hp.get("dropout", 0) > 19.9:
            raises("ValueError: rate=20")

    with pytest.raises(ExperimentFileError) as caught:
        learn(below_20, search_space=space)
    assert str(caught.value) == (
        "search_space.dropout: expected uniform(0, 20) to hold only values that the model can be built with."
        " Received: 20, the upper end, with which beside units 8 its code raised ValueError: rate=20"
        " (net.py line 3, in build)."
    )


@pytest.mark.parametrize("domain", ["uniform(-1, 1)", "uniform(0, 1.5)", "integer(-1, 1)"])
def test_either_end_of_a_range_of_any_kind_is_tried(domain):
    with pytest.raises(ExperimentFileError, match=r"search_space\.dropout"):
        learn(dropout_up_to_1, search_space={"dropout": domain})


def test_an_end_that_fails_beside_some_draws_alone_is_left_to_the_trials():
    space = {"layers": "integer(1, 4)", "size": "choice([3, 9])"}

    def shrinks(hp):
        if hp.get("size") < 2 * hp.get("layers"):
            raises("ValueError: negative dimension")

    learned, process = learn(shrinks, search_space=space)
    assert learned is not None
    assert {"layers": 4, "size": 9} in process.asked


def test_a_value_of_a_choice_that_always_fails_is_a_row_of_the_table():
    space = {"fate": "choice([fine, raises])"}
    learned, _ = learn(
        lambda hp: hp.get("fate") == "raises" and raises("ValueError"), search_space=space
    )
    assert learned.spec.hyperparameters == {"fate": "fine"}


def test_a_builder_that_fails_in_every_draw_is_refused_with_the_first_one():
    space = {"units": "choice([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12])", "depth": 3}
    said = (
        r"^model \./net\.py: its code raised KeyError: 'x' \(net\.py line 3, in build\), with each of the \d+ draws"
        r" tried, the first of them units \d+, depth 3\.$"
    )
    with pytest.raises(ExperimentFileError, match=said):
        learn(lambda hp: raises("KeyError: 'x'"), search_space=space)


def test_draws_are_built_until_what_was_learned_is_enough():
    space = {"wide": "choice([true, false])", "width": 8}
    learned, process = learn(
        lambda hp: hp.get("wide") and hp.get("width"),
        search_space=space,
        enough=lambda learned: "width" in learned.reads,
    )
    assert learned.reads == {"wide", "width"}
    assert process.asked[-1]["wide"] is True
    assert not learned.compiled, "one of the draws was left to training"


def test_a_range_that_exists_beside_a_few_draws_alone_is_tried_there():
    space = {
        "regularise": "choice([a, b, c, d, e, f, g, h, yes_please])",
        "dropout": {"when": {"regularise": "yes_please"}, "domain": "uniform(0, 1.2)"},
    }
    with pytest.raises(ExperimentFileError, match=r"search_space\.dropout"):
        learn(dropout_up_to_1, trials=60, search_space=space)


def test_what_does_not_fit_into_this_machine_is_no_reason_to_refuse():
    def too_large(hp):
        raise NoAnswer

    assert learn(too_large, search_space={"units": "integer(1, 9)"})[0] is None


def test_a_pandas_planned_change_is_built_too():
    panda = {
        "start": {"dropout": 0.1},
        "days": 3,
        "schedule": [{"epoch": 2, "set": {"dropout": 3}}],
    }
    with pytest.raises(
        ExperimentFileError, match=r"^panda\.schedule, epoch 2: expected values that the model"
    ):
        learn(dropout_up_to_1, strategy="panda", panda=panda)  # fmt: skip
