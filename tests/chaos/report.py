"""What the suite prints: each story as it ends, then a table by kind of kill."""

from __future__ import annotations

from collections.abc import Sequence

from tests.chaos.story import Story


def told(story: Story) -> str:
    """Return a story's lines: what was done to it, and what was wrong afterwards."""
    verdict = "survived" if not story.faults else "BROKEN"
    lines = [f"{story.name} ({story.kind}), {story.seconds:.0f} s: {verdict}"]
    lines += [f"    {weapon:<17} {moment}: {what}" for weapon, moment, what in story.hits]
    lines += [f"    {weapon:<17} missed: the run was done" for weapon in story.missed]
    lines += [f"    ! {fault[:400]}" for fault in story.faults[:12]]
    return "\n".join(lines)


def table(stories: Sequence[Story]) -> str:
    """Return kills survived and made, by weapon, and the sum on the last line."""
    made: dict[str, list[bool]] = {}
    for story in stories:
        for weapon, _, _ in story.hits:
            made.setdefault(weapon, []).append(not story.faults)
    lines = [f"{'kill':<18} {'made':>5} {'survived':>9}", "-" * 34]
    lines += [f"{weapon:<18} {len(all_):>5} {sum(all_):>9}" for weapon, all_ in made.items()]
    kills = [survived for all_ in made.values() for survived in all_]
    return "\n".join([*lines, "", f"kills survived {sum(kills)} of {len(kills)}"])
