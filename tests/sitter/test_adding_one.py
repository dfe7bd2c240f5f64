"""A rule is added by its module and a line of RULES: keys, overrides, schema, messages and the sitter follow."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
RULE = '''
"""Slow: an epoch takes too long."""

from dataclasses import replace

from pydantic import Field

from orchestrator.sitter.rule import Finding, RuleOptions


class SlowOptions(RuleOptions):
    """When a model has become slow."""

    ON = False

    most_seconds: float = Field(default=9.0, gt=0, description="How long an epoch may take.")
    times: int = Field(default=1, description="How often the model is taken back.")

    def after_epoch(self, memory, metrics, watched):
        """Ask for a rollback."""
        if metrics["seconds"] <= self.most_seconds or memory.counts.get("slow", 0) >= self.times:
            return memory, None
        return memory, Finding("slow", "Too slow.", metrics, action="rollback", to_day=0)

    def done(self, memory, found):
        """Count it."""
        return replace(memory, counts={"slow": memory.counts.get("slow", 0) + 1})
'''
QUESTIONS = """
import json
from orchestrator.config import experiment_schema, parse_experiment, to_yaml
from orchestrator.errors import ExperimentFileError
from orchestrator.sitter import Memory, Sitter, after_own_rollback, from_plain, to_plain
from orchestrator.sitter.slow import SlowOptions

base = {"model": "mlp", "data": "digits", "strategy": "panda"}

def read(sitter, *overrides):
    panda = {"start": {}, "sitter": sitter}
    return parse_experiment({**base, "panda": panda}, overrides)

def refusal(sitter):
    try:
        read(sitter)
    except ExperimentFileError as error:
        return str(error)

def told(options):
    watching = Sitter(options, "loss", "min", 10)
    memory, found = watching.after_epoch(Memory(), {"seconds": 99.0}, 0.1)
    again = after_own_rollback(from_plain(to_plain(memory)), Memory())
    return [[each.rule for each in found], watching.after_epoch(again, {"seconds": 99.0}, 0.1)[1]]

on = read({"mode": "act", "slow": "on"}).panda.sitter
print(json.dumps({
    "off": read("act").panda.sitter.slow,
    "on": on.slow == SlowOptions(),
    "override": read("act", "panda.sitter.slow.most_seconds=3.5").panda.sitter.slow.most_seconds,
    "written": to_yaml(read({"slow": {"times": 4}})),
    "misspelt": refusal({"slow": {"tims": 4}}),
    "wrong": refusal({"slow": 3}),
    "schema": json.dumps(experiment_schema()),
    "told": told(on),
}))
"""


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What a copy of the product says that has the rule and its line."""
    house = tmp_path_factory.mktemp("house")
    ignored = shutil.ignore_patterns("__pycache__", "bundled")
    shutil.copytree(ROOT / "orchestrator", house / "orchestrator", ignore=ignored)
    for folder in ("models", "search_spaces", "examples"):
        (house / folder).symlink_to(ROOT / folder)
    (house / "orchestrator/sitter/slow.py").write_text(RULE)
    table = house / "orchestrator/sitter/sitter.py"
    text = table.read_text()
    line = '    "plateau": PlateauOptions,\n'
    assert line in text
    added = "from orchestrator.sitter.slow import SlowOptions\n\nRULES: "
    table.write_text(
        text.replace("\nRULES: ", added).replace(line, f'{line}    "slow": SlowOptions,\n')
    )
    command = [sys.executable, "-c", QUESTIONS]
    done = subprocess.run(command, cwd=house, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_rule_that_is_not_on_is_off_until_it_is_asked_for(answers):
    assert (answers["off"], answers["on"]) == (None, True)


def test_one_of_its_options_can_be_overridden(answers):
    assert answers["override"] == 3.5


def test_its_options_are_in_the_complete_file(answers):
    assert "    slow:\n      most_seconds: 9.0\n      times: 4\n" in answers["written"]


def test_what_is_wrong_is_told_of_its_options(answers):
    said = "panda.sitter.slow.tims: unknown key. Received: 'tims'. Did you mean 'times'?"
    assert said in answers["misspelt"]
    assert "expected off, on, or options such as {most_seconds: 9.0}" in answers["wrong"]


def test_the_schema_knows_them(answers):
    assert "How long an epoch may take." in answers["schema"]


def test_the_sitter_asks_it_and_what_it_has_spent_survives_its_rollback(answers):
    assert answers["told"] == [["slow"], []]
