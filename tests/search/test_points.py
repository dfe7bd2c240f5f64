"""Known configurations come first; what is not in the space is refused with its place."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from orchestrator.catalog import space_of
from orchestrator.config import load_experiment, parse_experiment, to_yaml
from orchestrator.errors import ExperimentFileError, OrchestratorError
from orchestrator.records import RunFolder, RunWriter
from orchestrator.search import Search, make_plan
from orchestrator.search.points import points_of, with_points
from orchestrator.search.steps import Start

SPACE = {
    "rate": "loguniform(1e-4, 1)",
    "momentum": "one_minus_loguniform(0.9, 0.999)",
    "units": "integer(1, 64)",
    "optimizer": "choice([sgd, adam])",
    "nesterov": {"when": {"optimizer": "sgd"}, "domain": "choice([true, false])"},
}
CONTENT = {"trial": "./a.py:f", "metric": "loss", "mode": "min", "search_space": SPACE}


def experiment(points, **more):
    return parse_experiment({**CONTENT, "caviar": {"points": points, "num_samples": 8}, **more})


def planned(points, **more):
    asked = experiment(points, **more)
    return make_plan(asked, space_of(asked))


def refusal(points, **more):
    with pytest.raises(OrchestratorError) as caught:
        planned(points, **more)
    return str(caught.value)


def test_points_come_first_and_what_they_leave_out_is_drawn_as_that_of_any_trial():
    drawn = list(planned("none").draws())
    seen = list(planned([{"rate": 0.1, "units": 3}, {"optimizer": "adam"}]).draws())
    own = {name: value for name, value in drawn[0].hyperparameters.items()}
    assert seen[0].hyperparameters == {**own, "rate": 0.1, "units": 3}
    assert seen[1].hyperparameters["optimizer"] == "adam"
    assert [each.seed for each in seen] == [each.seed for each in drawn]
    assert [each.hyperparameters for each in seen[2:]] == [
        each.hyperparameters for each in drawn[2:]
    ]


def test_num_samples_counts_them():
    points = [{"units": units} for units in range(1, 12)]
    assert [each.hyperparameters["units"] for each in planned(points).draws()] == list(range(1, 9))


def test_a_searcher_is_told_of_a_point_as_of_any_trial():
    finite = {"search_space": {"units": "integer(1, 8)"}}
    seen = [each.hyperparameters["units"] for each in planned([{"units": 5}], **finite).draws()]
    assert seen[0] == 5
    assert sorted(seen) == list(range(1, 9))
    search = Search(planned([{"units": 5}], **finite))
    run = []
    while isinstance(step := search.next(), Start):
        run.append(step.spec.hyperparameters["units"])
    assert run == seen


def test_values_are_as_draws_give_them():
    point = {"rate": 1, "momentum": np.float64(0.9), "one_minus_momentum": 0.1, "units": 32.0}
    [given] = points_of(experiment([point]), space_of(experiment([point]))).given
    assert list(map(type, given.values())) == [float, float, int]
    assert given == {"rate": 1.0, "momentum": 0.9, "units": 32}


@pytest.mark.parametrize(
    ("points", "said"),
    [
        (
            [{"rat": 0.1}],
            "caviar.points.0.rat: expected a hyperparameter of the search space. Received: 'rat'.",
        ),
        ([{"rat": 0.1}], "Did you mean 'rate'?"),
        (
            [{"units": 1}, {"rate": 2}],
            "caviar.points.1.rate: expected a value of loguniform(1e-4, 1), which",
        ),
        ([{"units": 2.5}], "caviar.points.0.units: expected a value of integer(1, 64)"),
        ([{"units": True}], "caviar.points.0.units: expected a value of integer(1, 64)"),
        ([{"units": 1}, {"units": 1}], "caviar.points.1: expected each point once"),
        (
            [{"nesterov": True}],
            "caviar.points.0.nesterov: expected no value, or optimizer sgd in the same point",
        ),
        ([{}], "caviar.points.0: expected values of hyperparameters"),
        (
            [3],
            "caviar.points: expected auto, none, a file such as ./points.yaml, or a list of mappings",
        ),
        (
            3,
            "caviar.points: expected auto, none, a file such as ./points.yaml, or a list of mappings",
        ),
        ([], "caviar.points: expected auto, none"),
        ("yes", "caviar.points: expected auto, none, a file"),
        ("./no.yaml", "caviar.points ./no.yaml: no file"),
    ],
)
def test_what_is_no_point_of_the_space_is_one_sentence(points, said):
    message = refusal(points)
    assert said in message
    assert "\n" not in message


def test_a_point_that_breaks_a_constraint_is_refused():
    message = refusal([{"units": 60, "rate": 0.5}], constraints=["units * rate <= 20"])
    assert "caviar.points.0: expected values that fulfil units * rate <= 20" in message


def test_a_refusal_names_the_line_of_the_experiment_or_of_the_file_of_points(tmp_path):
    file = tmp_path / "one.yaml"
    text = "trial: ./a.py:f\nmetric: loss\nmode: min\nsearch_space:\n  rate: loguniform(1e-4, 1)\ncaviar:\n"
    file.write_text(f"{text}  points:\n    - rate: 0.5\n    - rate: 5\n")
    asked = load_experiment(file)
    with pytest.raises(
        ExperimentFileError, match=r"one.yaml, line 9, caviar.points.1.rate: expected"
    ):
        points_of(asked, space_of(asked))
    (tmp_path / "good.yaml").write_text("# the first\n- rate: 0.5\n- {rate: 5}\n")
    file.write_text(f"{text}  points: ./good.yaml\n")
    asked = load_experiment(file)
    with pytest.raises(ExperimentFileError, match=r"good.yaml, line 3, points.1.rate: expected"):
        points_of(asked, space_of(asked))


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    """A list that comes with the bundled space mlp."""
    import orchestrator.catalog.find as find

    (tmp_path / "points").mkdir()
    (tmp_path / "mlp.yaml").write_text("rate: loguniform(1e-4, 1)\nunits: integer(1, 9)\n")
    (tmp_path / "points" / "mlp.yaml").write_text(
        "- {rate: 0.1, units: 3}\n- {units: 99}\n- {units: 7}\n"
    )
    monkeypatch.setattr(find, "bundled_folder", lambda kind: tmp_path)
    monkeypatch.setattr(find, "bundled_file", lambda kind, name: tmp_path / f"{name}.yaml")
    return {"search_space": "mlp"}


def test_those_of_a_bundled_space_that_fit_it_come_first_unless_they_are_left_out(shipped):
    asked = experiment("auto", **shipped)
    found = points_of(asked, space_of(asked))
    assert found.given == ({"rate": 0.1, "units": 3}, {"units": 7})
    assert found.source == "bundled with search_space mlp"
    assert planned("none", **shipped).points == ()
    assert points_of(experiment("auto"), space_of(experiment("auto"))).given == ()


@pytest.mark.parametrize(("name", "count"), [("mlp", 5), ("cnn", 0), ("resnet", 0)])
def test_every_bundled_point_lies_in_its_space_and_is_a_first_trial(name, count):
    asked = experiment("auto", search_space=name)
    given = points_of(asked, space_of(asked)).given
    assert len(given) == count
    drawn = [
        spec.hyperparameters
        for spec in itertools.islice(make_plan(asked, space_of(asked)).draws(), count)
    ]
    assert [
        {name: each[name] for name in point} for point, each in zip(given, drawn, strict=True)
    ] == list(given)


def test_a_record_names_each_point_whatever_they_came_from(shipped, tmp_path):
    asked = experiment("auto", **shipped)
    space = space_of(asked)
    complete = with_points(asked, space).model_copy(update={"search_space": space.to_document()})
    (tmp_path / "record.yaml").write_text(to_yaml(complete))
    again = load_experiment(tmp_path / "record.yaml")
    assert make_plan(again, space_of(again)) == make_plan(asked, space)


def earlier_run(folder, *trials):
    run = RunFolder.create(folder, "earlier")
    run.write_experiment("name: earlier\nmetric: loss\nmode: min\n")
    with RunWriter(run) as writer:
        for index, (values, loss) in enumerate(trials):
            writer.trial_started(f"{index:05d}", index, 1, values)
            row = {"trial": f"{index:05d}", "epoch": 1, "metrics": {"loss": loss}, "seconds": 1.0}
            writer.epochs([row])
    return {"storage_path": str(folder)}


def test_the_best_trials_of_an_earlier_run_come_first_of_each_configuration_one(tmp_path):
    here = earlier_run(
        tmp_path,
        ({"rate": 0.1, "units": 5}, 0.3),
        ({"rate": 0.2, "units": 6}, 0.1),
        ({"rate": 0.2, "units": 6}, 0.2),
        ({"rate": 0.3, "units": 7}, float("nan")),
    )
    plan = planned([{"run": "earlier", "best": 3}, {"units": 9}], **here)
    assert [spec.hyperparameters["units"] for spec in plan.points] == [6, 5, 9]
    assert plan.points[0].hyperparameters["rate"] == 0.2
    assert len(planned([{"run": "earlier"}], **here).points) == 1


def test_the_record_of_a_run_has_the_values_of_the_earlier_run_it_began_with(tmp_path):
    here = earlier_run(tmp_path, ({"rate": 0.1, "units": 5}, 0.3))
    asked = experiment([{"run": "earlier"}], **here)
    recorded = with_points(asked, space_of(asked))
    assert recorded.caviar.points == ({"rate": 0.1, "units": 5},)


def test_a_trial_of_an_earlier_run_that_is_not_in_the_space_is_refused_by_its_name(tmp_path):
    here = earlier_run(tmp_path, ({"rate": 0.1, "units": 500}, 0.3))
    said = refusal([{"units": 3}, {"run": "earlier"}], **here)
    assert "caviar.points.1, trial 00000 of run earlier" in said
    assert "expected a value of integer(1, 64)" in said


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"run": "nothing"}, "caviar.points.0.run: run below"),
        ({"run": "earlier", "best": 0}, "expected a whole number of at least 1"),
        ({"run": "earlier"}, "expected a run of which a trial has a finite value"),
    ],
)
def test_a_run_that_gives_no_point_is_refused(tmp_path, entry, said):
    assert said in refusal([entry], **earlier_run(tmp_path, ({"rate": 0.1}, float("nan"))))


def test_a_hyperparameter_may_be_called_run():
    space = {"run": "integer(1, 9)"}
    plan = planned([{"run": 3}], search_space=space)
    assert plan.points[0].hyperparameters["run"] == 3
