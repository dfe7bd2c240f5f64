"""Cuts that know the noise: what may be among the best by the metric's standard error goes on too."""

from __future__ import annotations

import math

import pytest

from orchestrator.config import parse_experiment
from orchestrator.domains import Space
from orchestrator.errors import OrchestratorError
from orchestrator.schedulers import AshaOptions
from orchestrator.schedulers.noise import Noise
from orchestrator.search import make_plan
from orchestrator.search.logical_time import InLogicalTime


def test_an_accuracy_has_the_binomial_error_of_its_rows_and_a_perfect_one_is_not_certain():
    assert Noise(rows=400).of(0.9) == pytest.approx(math.sqrt(0.9 * 0.1 / 400), rel=0.02)
    assert 0 < Noise(rows=400).of(1.0) < Noise(rows=400).of(0.9)
    assert Noise(rows=400).of(-0.9) == Noise(rows=400).of(0.9)


def test_a_value_passes_while_the_chance_that_it_is_as_good_is_three_tenths():
    noise = Noise(0.01)
    apart = 0.01 * math.sqrt(2)
    assert noise.may_pass(0.9, 0.9 + 0.52 * apart)
    assert not noise.may_pass(0.9, 0.9 + 0.53 * apart)
    assert not noise.may_pass(-math.inf, 0.9)


def decided(noise, promote, values):
    scheduler = AshaOptions(noise=noise, promote=promote).make(9, "max")
    said = {name: scheduler.report(name, 1, value) for name, value in values.items()}
    going = set(scheduler.promote()) if promote else set()
    return going | {name for name, each in said.items() if not (each.stop or each.pause)}


VALUES = {"a": 0.9, "b": 0.5, "c": 0.4, "d": 0.899, "e": 0.3}


@pytest.mark.parametrize("promote", [True, False])
def test_one_within_the_noise_of_the_last_that_passes_goes_on_too(promote):
    assert decided(False, promote, VALUES) == {"a"}
    assert decided(0.01, promote, VALUES) == {"a", "d"}
    assert decided(1e-6, promote, VALUES) == {"a"}


def test_what_is_no_number_never_passes_however_noisy_the_metric():
    values = {**VALUES, "d": math.nan}
    assert "d" not in decided(5.0, True, values) | decided(5.0, False, values)


def test_auto_knows_the_error_of_an_accuracy_alone_and_only_once_it_is_told_the_rows():
    auto = AshaOptions(noise="auto")
    assert auto.noise_of is None
    assert auto.judging_by("val_accuracy", 360).noise_of == Noise(rows=360)
    assert auto.judging_by("val_loss", 360).noise_of is None
    assert AshaOptions(noise=0.02).judging_by("val_loss", 360).noise_of == Noise(0.02)


def experiment(**asha):
    return parse_experiment(
        {
            "model": "mlp", "data": "digits", "search_space": {"units": "integer(1, 9)"},
            "metric": "val_accuracy", "caviar": {"scheduler": {"asha": asha}, "reproducible": True},
        }
    )  # fmt: skip


def test_the_rows_are_told_through_logical_time_too():
    asked = experiment(noise="auto")
    maker = make_plan(asked, Space.parse(asked.search_space)).scheduler
    assert isinstance(maker, InLogicalTime)
    told = maker.judging_by("val_accuracy", 360)
    assert told.maker.noise_of == Noise(rows=360)


@pytest.mark.parametrize("wrong", [True, -1.0, "some", math.inf])
def test_another_noise_is_refused_by_its_key(wrong):
    with pytest.raises(OrchestratorError, match=r"caviar\.scheduler\.asha\.noise"):
        experiment(noise=wrong)
