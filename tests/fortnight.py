"""A small babysat run, written by the real writer: a change too far, a rollback, a branch."""

from __future__ import annotations

import yaml

from orchestrator.records import RunFolder, RunRecords, RunWriter, read_run

START = {"learning_rate": 0.1, "momentum": 0.9}
MAIN = "00000"
ADA = "ada@node3"


def make_folder(storage, name="digits", **changes) -> RunFolder:
    folder = RunFolder.create(storage, name)
    experiment = {
        "name": name,
        "model": "mlp",
        "data": {"source": "digits"},
        "search_space": {"learning_rate": "loguniform(1e-4, 1)", "momentum": "uniform(0, 1)"},
        "strategy": "panda",
        "metric": "val_accuracy",
        "mode": "max",
        "panda": {"start": START, "day": "2 epochs", "days": 5},
    }
    folder.write_experiment(yaml.safe_dump({**experiment, **changes}, sort_keys=False))
    folder.write_manifest({"data": {"rows": {"train": 1000, "validation": 400, "test": 400}}})
    return folder


def row(epoch, value, stretch=0, trial=MAIN):
    metrics = {"val_accuracy": value, "val_loss": 1 - value, "learning_rate": 0.1}
    line = {"trial": trial, "epoch": epoch, "metrics": metrics, "seconds": 0.5}
    return {**line, "stretch": stretch} if stretch else line


def entry(kind, epoch, stretch=0, trial=MAIN, **facts):
    common = {"kind": kind, "trial": trial, "epoch": epoch, "day": epoch // 2, "stretch": stretch}
    return {**common, "time": f"2026-03-01T09:{epoch:02}:00.000+00:00", **facts}


def day(number, value, stretch=0, trial=MAIN, **changes):
    return entry(
        "day", 2 * number, stretch, trial,
        metrics=row(0, value)["metrics"], hyperparameters={**START, **changes},
        checkpoint=f"checkpoints/{trial}/day-{number:05}.npz", bytes=2048, seconds=1.0,
    )  # fmt: skip


def asked(epoch, action, request, why=None, trial=MAIN, at_day=None, **arguments):
    facts = {"request": request, "action": action, "arguments": arguments}
    return entry("asked", epoch, trial=trial, who=ADA, why=why, at_day=at_day, **facts)


def applied(epoch, action, request=None, by=ADA, stretch=0, **facts):
    facts = {"request": request, "by": by, "action": action, "changes": {}, "how": None} | facts
    return entry("applied", epoch, stretch, **facts)


FORTNIGHT = (
    row(1, 0.5), row(2, 0.6), day(1, 0.6),
    asked(2, "set", "r1", "it is slow", changes={"learning_rate": 0.9}),
    applied(2, "set", "r1", changes={"learning_rate": [0.1, 0.9]}, how="live"),
    row(3, 0.4), row(4, 0.3), day(2, 0.3, learning_rate=0.9),
    entry("effect", 4, request="r1", of_day=2, metric="val_accuracy", before=0.6, after=0.3,
          expected=0.65),
    entry("advice", 4, rule="overfitting", suggests="add dropout", changes={}, evidence={}),
    asked(4, "rollback", "r2", to_day=1),
    applied(2, "rollback", "r2", stretch=1, to_day=1, to_epoch=2,
            changes={"learning_rate": [0.9, 0.1]}),
    row(3, 0.7, 1), row(4, 0.8, 1), day(2, 0.8, 1),
    asked(4, "set", "r3", changes={"units": 5}), entry("refused", 4, 1, request="r3", reason="no"),
    applied(4, "branch", "r4", stretch=1, branch="gentle", to_day=2,
            changes={"learning_rate": [0.1, 0.03]}),
)  # fmt: skip


def write_fortnight(folder: RunFolder) -> RunRecords:
    with RunWriter(folder) as writer:
        writer.event("run_started")
        writer.trial_started(MAIN, 0, 7, START)
        tell(writer, FORTNIGHT)
        fork = {"run": None, "trial": MAIN, "day": 2, "epoch": 4}
        writer.trial_started("gentle", 1, 7, {**START, "learning_rate": 0.03}, fork)
        tell(writer, [row(5, 0.82, trial="gentle"), row(6, 0.9, trial="gentle")])
        tell(writer, [day(3, 0.9, trial="gentle", learning_rate=0.03), row(5, 0.85, 1)])
    kept = folder.checkpoints / MAIN
    kept.mkdir()
    for number in (0, 1, 2):
        (kept / f"day-{number:05}.npz").write_bytes(b"weights")
    return read_run(folder.path)


def tell(writer, lines) -> None:
    for line in lines:
        writer.journal([line]) if "kind" in line else writer.epochs([line])
