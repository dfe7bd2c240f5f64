"""What differs between two runs is named by its key, in every part; what does not is said to be the same."""

from __future__ import annotations

import dataclasses
import hashlib

import pytest

from orchestrator.records import RunWriter, read_run
from orchestrator.report.differences import difference_lines, differences_of
from tests.fortnight import make_folder, row
from tests.report.made_up import made_up_run


def changed(records, experiment=(), manifest=()):
    return dataclasses.replace(
        records,
        experiment={**records.experiment, **dict(experiment)},
        manifest={**records.manifest, **dict(manifest)},
    )


def data(**changes):
    return {
        "data": {"fingerprint": "a" * 64, "classes": ["hen", "owl"], "rows": {"train": 9}} | changes
    }


def test_a_run_differs_from_itself_in_nothing():
    run = changed(made_up_run(5), manifest=data())
    found = differences_of(run, run)
    assert (found.experiment, found.code, found.data, found.versions, found.results) == ({},) * 5
    lines = difference_lines(found)
    assert "all with the same val_accuracy" in " ".join(" ".join(lines).split())
    assert sum(line == "  the same in both" for line in lines) == 3


def test_each_part_names_what_differs_by_its_key():
    first = changed(made_up_run(5), manifest=data() | {"versions": {"keras": "3.14"}})
    second = changed(
        made_up_run(5),
        {"epochs": 9, "caviar": {"num_samples": 6}},
        data(fingerprint="b" * 64, classes=["hen", "kite"]) | {"versions": {"keras": "3.15"}},
    )
    found = differences_of(first, second)
    assert found.experiment["epochs"] == (27, 9)
    assert found.experiment["caviar.num_samples"] == (5, 6)
    assert found.versions == {"versions.keras": ("3.14", "3.15")}
    text = "\n".join(difference_lines(found))
    assert "fingerprint: aaaaaaaaaaaa -> bbbbbbbbbbbb" in text
    assert "classes: only the first has owl; only the second has kite" in text
    assert max(map(len, text.splitlines())) <= 80


def written(folder, name, values, seeds, metric="val_accuracy"):
    made = make_folder(folder / "runs", name, strategy="caviar", metric=metric)
    with RunWriter(made) as writer:
        writer.event("run_started")
        for at, (seed, each) in enumerate(zip(seeds, values, strict=True)):
            writer.trial_started(f"{at:05}", at, seed, {"learning_rate": 0.1 * (1 + at)})
            rows = [row(epoch, value) for epoch, value in enumerate(each, 1)]
            writer.epochs([{**one, "trial": f"{at:05}"} for one in rows])
    return read_run(made.path)


def test_trials_of_the_same_seed_are_paired_over_the_epochs_that_both_trained(tmp_path):
    first = written(tmp_path, "a", [[0.5, 0.6], [0.4], [0.9]], seeds=(1, 2, 3))
    second = written(tmp_path, "b", [[0.7], [0.5, 0.99], [0.1]], seeds=(1, 2, 4))
    paired = differences_of(first, second).paired
    assert (paired.pairs, paired.better, paired.worse) == (2, 2, 0)
    assert paired.mean == pytest.approx((0.2 + 0.1) / 2)  # not 0.99: the first stopped before
    assert paired.low < paired.mean < paired.high


@pytest.mark.parametrize(
    ("seeds", "metric", "why"),
    [
        ((7,), "val_accuracy", "no trial has the same seed"),
        ((1,), "val_auc", "judged by val_accuracy and val_auc"),
    ],
)
def test_why_nothing_could_be_paired_is_said(tmp_path, seeds, metric, why):
    first = written(tmp_path, "a", [[0.5]], seeds=(1,))
    second = written(tmp_path, "b", [[0.5]], seeds=seeds, metric=metric)
    assert why in " ".join(difference_lines(differences_of(first, second), 10**6))


def test_the_lines_of_a_changed_model_are_shown_while_its_file_is_the_one_that_was_run(tmp_path):
    runs, contents = [], ("units = 8\n", "units = 16\n")
    for name, content in zip("ab", contents, strict=True):
        (tmp_path / name).mkdir()
        (tmp_path / name / "net.py").write_text(content)
        files = {"net.py": hashlib.sha256(content.encode()).hexdigest()}
        model = {"reference": "./net.py:build", "fingerprint": files["net.py"], "files": files}
        runs.append(
            changed(made_up_run(1), manifest={"folder": str(tmp_path / name), "model": model})
        )
    assert "-units = 8\n+units = 16" in differences_of(*runs).sources["net.py"]
    (tmp_path / "b" / "net.py").write_text("something newer")
    found = differences_of(*runs)
    assert found.sources == {}
    assert list(found.code) == ["model: net.py"]
