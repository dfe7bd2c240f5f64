"""The long form: `make chaos`, or `python -m tests.chaos --seed 1 --keep folder --only none`."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Literal

from orchestrator.records import RunRecords
from tests.chaos.disk import small_disk, why_not
from tests.chaos.experiment import KINDS
from tests.chaos.nodes import three_nodes
from tests.chaos.report import table, told
from tests.chaos.story import Ground, Story, ground

Place = Literal["here", "cluster", "disk"]

Planned = tuple[str, Place, tuple[str, ...]]

PLAN: tuple[Planned, ...] = (
    ("none", "here", ("driver", "worker", "both", "sigterm")),
    ("none", "here", ("torn trials", "driver", "torn epochs", "worker")),
    ("none", "here", ("driver", "torn events", "flipped events", "flipped trials")),
    ("asha", "here", ("worker", "driver", "sigterm", "both")),
    ("asha", "here", ("torn epochs", "flipped epochs", "driver", "torn trials")),
    ("panda", "here", ("driver", "torn journal", "both", "worker")),
    ("panda", "here", ("flipped journal", "sigterm", "torn epochs")),
    ("none", "cluster", ("node", "driver", "node")),
    ("asha", "cluster", ("head", "node", "worker")),
    ("none", "disk", ("disk", "disk+driver", "disk")),
)
"""The runs: their kind, where they happen, and what they are hit with, one after another."""

REDRAWN = 3
"""How many more runs may be begun to make the shots that came too late."""


def main() -> int:
    """Tell every story, print the table, return 0 where every kill was survived."""
    asked = _asked()
    begun = time.monotonic()
    print(f"seed {asked.seed}", flush=True)
    with ground(asked.seed, asked.keep) as here:
        references: dict[str, RunRecords] = {}
        stories = list(_stories(here, references, _chosen(asked.only)))
    print(f"\n{time.monotonic() - begun:.0f} s\n\n{table(stories)}")
    return int(any(story.faults for story in stories))


def _stories(
    here: Ground, references: dict[str, RunRecords], plan: dict[int, Planned]
) -> Iterator[Story]:
    for kind in dict.fromkeys(kind for kind, _, _ in plan.values()):
        story = here.tell(kind, f"ref-{kind}", ())
        print(told(story), flush=True)
        if story.records is None or story.faults:
            yield story
            raise SystemExit(f"the reference of {kind} did not come to its end")
        references[kind] = story.records
    for number, (kind, place, weapons) in plan.items():
        if place == "disk" and why_not():
            print(f"SKIPPED, {why_not()}: {', '.join(weapons)}", flush=True)
            continue
        yield from _until_all_are_made(
            here, place, f"{number:02d}{kind}", weapons, references[kind]
        )


def _until_all_are_made(
    here: Ground, place: Place, name: str, weapons: Sequence[str], reference: RunRecords
) -> Iterator[Story]:
    kind = next(each for each in KINDS if name.endswith(each))
    for again in range(REDRAWN):
        with ExitStack() as stack:
            there = here
            if place == "cluster":
                nodes = stack.enter_context(three_nodes(here.temporary / f"n{name[:2]}{again}"))
                there = replace(here, cluster=nodes)
            if place == "disk":
                disk = stack.enter_context(small_disk(here.folder / f"disk{name}{again}"))
                there = replace(here, disk=disk)
            story = there.tell(kind, f"{name}{again or ''}", weapons, reference)
        print(told(story), flush=True)
        yield story
        weapons = story.missed
        if not weapons:
            return


def _chosen(only: Sequence[str]) -> dict[int, Planned]:
    """Return the runs that have one of the words about them: number, kind, place, weapon."""
    return {
        number: each
        for number, each in enumerate(PLAN, start=1)
        if not only or {str(number), each[0], each[1], *each[2]} & set(only)
    }


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Break runs at random moments and count survivors."
    )
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    parser.add_argument("--keep", type=Path, help="keep the runs and their logs in this new folder")
    parser.add_argument(
        "--only", nargs="*", default=(), help="numbers or kinds of runs, places, weapons"
    )
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
