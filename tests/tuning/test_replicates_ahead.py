"""Replicates of finalists that are certain begin beside the last trials of a search, and change nothing of its race."""

from __future__ import annotations

import random

import pytest

from orchestrator.config import parse_experiment
from orchestrator.domains import Space
from orchestrator.search import Search, TrialSpec, make_plan
from orchestrator.search.finalists import Finalists, replicate_seed
from orchestrator.tuning.protocol import Sitting
from tests.depth import in_depth
from tests.tuning.play import Heard as Listener
from tests.tuning.races import MadeUp, Player

SCHEDULERS = {
    "none": "none",
    "stopping asha": {"asha": {"promote": False}},
    "promoting asha": {"asha": {"promote": True}},
    "asha": "asha",
    "noisy asha": {"asha": {"promote": True, "noise": 0.02}},
    "pasha": "pasha",
    "hyperband": "hyperband",
    "median": "median",
    "patient": {"patient": {"patience": 2}},
    "pbt": {"pbt": {"interval": 2}},
}
MANY = {"learning_rate": "loguniform(1e-3, 1)"}
FEW = {"learning_rate": "choice([0.001, 0.01, 0.1])", "units": "choice([8, 16])"}


def plan_of(draw, scheduler, **caviar):
    """A search as the draws have it."""
    finalists = {
        "race": draw.choice([True, "auto"]), "top": draw.randint(2, 5), "seeds": draw.randint(2, 4),
        "budget": draw.choice([0.3, 3.0, 10.0]),
    }  # fmt: skip
    few = draw.random() < 0.3 and "pbt" not in scheduler
    keys = {
        "name": "one", "model": "mlp", "data": "digits", "epochs": draw.choice([4, 9, 12]),
        "metric": draw.choice(["val_accuracy", "val_loss"]), "seed": draw.randint(0, 99),
        "search_space": FEW if few else MANY,
        "caviar": {
            "num_samples": draw.randint(6, 24), "scheduler": SCHEDULERS[scheduler],
            "finalists": finalists, "max_concurrent_trials": draw.choice(["auto", 3]),
        } | caviar,
    }  # fmt: skip
    experiment = parse_experiment(keys)
    return make_plan(experiment, Space.parse(experiment.search_space))


def story_of(draw, number, plan):
    """What its trials give."""
    return MadeUp(
        number,
        plan.metric,
        failing=draw.choice([0.0, 0.2]),
        short=draw.choice([0.0, 0.2]),
        dying=draw.choice([0.0, 0.01]),
    )


def raced_before(plan):
    """A search that knows a replicate of a race before it was extended."""
    search, name = Search(plan), "00001-r1"
    given = plan.spec(1, {}, plan.space).hyperparameters
    again = TrialSpec(name, 1, replicate_seed(plan.seed, 1), given, repeats="00001", replicate=1)
    search.recall(again)
    search.tell({"trial": name, "epoch": 1, "metrics": {plan.metric: 0.5}, "seconds": 1.0})
    search.recall_ending(name, "finished")
    search.take_up({}, {name})
    return search


class Heard(Listener):
    """Keeps what it hears, when the race began, and of each trial whether it began after that."""

    def __init__(self):
        super().__init__()
        self.began_in, self.player = [], None

    def remarked(self, event, text, **facts):
        timed = event == "race_began" and not self.player.made_up.dying
        began = {"at": self.player.time} if timed else {}
        super().remarked(event, text, **facts, **began)

    def started(self, spec):
        super().started(spec)
        self.began_in.append((spec.trial, any(name == "race_began" for name, _ in self.events)))


def played(plan, story, workers, search=None):
    """What is heard of a search that is played to its end."""
    heard, player = Heard(), Player(story, workers)
    heard.player = player
    player.play(plan, heard, Sitting(workers, search))
    return heard


def course(heard):
    """What happened: each trial's epochs and its end, of the search in their order; and the race's facts.

    One whose worker died waits for another one, which may have a replicate: then the order and the time may differ.
    """
    deaths = heard.player.made_up.dying
    rows = [(r["trial"], r["epoch"], r["metrics"]) for r in heard.rows]
    search = [row for row in rows if "-r" not in row[0]]
    search = sorted(search, key=lambda row: row[:2]) if deaths else search
    again = sorted((row for row in rows if "-r" in row[0]), key=lambda row: row[:2])
    ends = sorted((t, e.status, (e.stopped_by or {}).get("epoch")) for t, e in heard.ends.items())
    race = [(name, facts) for name, facts in heard.events if name.startswith(("race_", "not_"))]
    return search, again, ends, race


def before_race(heard):
    """The replicates that began before the race did."""
    return [trial for trial, race in heard.began_in if "-r" in trial and not race]


STORIES = 25
NEVER = ("pbt", "pasha")
"""Of copies nobody knows how many are to come; the other lets few train to the end."""


@pytest.mark.parametrize(
    "scheduler", in_depth(SCHEDULERS, "none", "stopping asha", "promoting asha", "pbt")
)
def test_a_race_is_the_same_whether_replicates_begin_before_it_or_not(scheduler, monkeypatch):
    early = 0
    for story in range(STORIES):
        draw = random.Random(f"{scheduler} {story}")
        plan = plan_of(draw, scheduler)
        made_up = story_of(draw, story, plan)
        workers, extended = draw.randint(2, 6), draw.random() < 0.2
        searches = [raced_before(plan) if extended else None for _ in range(2)]
        ahead = played(plan, made_up, workers, searches[0])
        with monkeypatch.context() as patched:
            patched.setattr(Finalists, "ahead", lambda *given: None)
            behind = played(plan, made_up, workers, searches[1])
        assert course(ahead) == course(behind), story
        began = [facts for name, facts in ahead.events if name == "race_began"]
        for trial in before_race(ahead):
            assert began and trial.partition("-")[0] in began[0]["finalists"], story
        assert not before_race(behind)
        early += len(before_race(ahead))
    assert early or scheduler in NEVER
