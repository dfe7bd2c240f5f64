"""Which files go along with an experiment, and how it refers to them where it is sent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import yaml

from orchestrator.errors import ExperimentFileError, PlaceError, UnknownNameError
from orchestrator.experiment.submission import make_submission
from orchestrator.targets.target import check_size

RAY = "target.ray.address=http://head:8265"


@pytest.fixture
def files(here) -> Path:
    (here / "net.py").write_text("import parts\n" + (here / "net.py").read_text())
    (here / "parts.py").write_text("import deeper\n")
    (here / "deeper.py").write_text("")
    (here / "unused.py").write_text("")
    np.savez(here / "d.npz", x=np.zeros((9, 4)), y=np.zeros(9, int))
    return here


def sent(here: Path, target: str, *overrides: str) -> tuple[list[str], dict]:
    made = make_submission(here / "digits.yaml", (*overrides, RAY), target)[1]
    return [file.there for file in made.files], yaml.safe_load(made.document)


def test_a_model_goes_with_what_it_imports_and_nothing_else(files):
    assert sent(files, "ray")[0] == ["deeper.py", "net.py", "parts.py"]


def test_data_beside_the_experiment_is_sent_where_the_place_does_not_see_it(files):
    there, content = sent(files, "ray", "data=./d.npz")
    assert "d.npz" in there
    assert content["data"]["source"] == "./d.npz"


def test_data_is_named_and_not_sent_where_the_place_sees_it(files):
    there, content = sent(files, "slurm", "data=./d.npz")
    assert "d.npz" not in there
    assert content["data"]["source"] == str(files / "d.npz")


def test_data_by_an_absolute_path_is_the_places_own(files):
    there, content = sent(files, "ray", "data=/shared/not-here.npz")
    assert "not-here.npz" not in there
    assert content["data"]["source"] == "/shared/not-here.npz"


def test_a_model_from_elsewhere_keeps_its_neighbours(files):
    other = files / "other"
    other.mkdir()
    (files / "sub").mkdir()
    for name in ("net.py", "parts.py", "deeper.py"):
        (other / name).write_text((files / name).read_text())
    text = (files / "digits.yaml").read_text().replace("./net.py", "../other/net.py:build")
    (files / "sub" / "digits.yaml").write_text(text)
    there, content = sent(files / "sub", "ray")
    assert there == [
        "elsewhere/other/deeper.py",
        "elsewhere/other/net.py",
        "elsewhere/other/parts.py",
    ]
    assert content["model"] == "./elsewhere/other/net.py:build"


def test_a_folder_is_shipped_less_its_excludes(files):
    for name in ("a.txt", "b.ckpt", "__pycache__/c.pyc", "deep/d.txt"):
        (files / "raw" / name).parent.mkdir(parents=True, exist_ok=True)
        (files / "raw" / name).write_text("")
    there, _ = sent(files, "ray", "target.ray.ship=[raw]", "target.ray.excludes=['*.ckpt']")
    assert [name for name in there if name.startswith("raw")] == ["raw/a.txt", "raw/deep/d.txt"]


def test_the_whole_folder_is_sent_without_its_runs(files):
    (files / "runs" / "old").mkdir(parents=True)
    (files / "runs" / "old" / "epochs.jsonl").write_text("")
    there, _ = sent(files, "ray", "target.ray.working_dir=.")
    assert "unused.py" in there
    assert [name for name in there if name.startswith("runs")] == []


def test_a_link_is_sent_under_its_own_name_wherever_it_leads(files, tmp_path_factory):
    far = tmp_path_factory.mktemp("far")
    (far / "deep").mkdir()
    for name in ("v3.csv", "deep/w.csv"):
        (far / name).write_text(name)
    raw = files / "raw"
    raw.mkdir()
    (raw / "t.csv").symlink_to(far / "v3.csv")
    (raw / "inner.py").symlink_to(files / "unused.py")
    (raw / "all").symlink_to(far)
    (raw / "up").symlink_to(files)
    (far / "deep" / "loop").symlink_to(far)
    made = make_submission(files / "digits.yaml", ("target.ray.ship=[raw]", RAY), "ray")[1]
    there = {file.there: file.source.read_text() for file in made.files}
    assert [name for name in there if name.startswith("raw")] == [
        "raw/all/deep/w.csv",
        "raw/all/v3.csv",
        "raw/inner.py",
        "raw/t.csv",
    ]
    assert there["raw/t.csv"] == "v3.csv"


def test_what_is_shipped_by_an_absolute_path_beside_the_experiment_keeps_its_place(files):
    assert "unused.py" in sent(files, "ray", f"target.ray.ship=[{files / 'unused.py'}]")[0]


@pytest.mark.parametrize("key", ["ship=[{far}]", "working_dir={far}", "ship=[../../x]"])
def test_what_lies_too_far_off_to_keep_its_place_is_refused(key, files, tmp_path_factory):
    far = tmp_path_factory.mktemp("far").parents[1]
    with pytest.raises(UnknownNameError, match=r"(ship|working_dir): expected .* below") as refused:
        sent(files, "ray", "target.ray." + key.format(far=far))
    assert "\n" not in str(refused.value)


def test_an_experiment_that_has_the_name_of_the_complete_one_is_not_sent_beside_it(files):
    (files / "experiment.yaml").write_text("name: old\n")
    assert "experiment.yaml" not in sent(files, "ray", "target.ray.working_dir=.")[0]


def test_what_is_shipped_has_to_be_there(files):
    with pytest.raises(UnknownNameError, match="beside the experiment"):
        sent(files, "ray", "target.ray.ship=[nowhere]")


def test_what_is_too_large_is_named_with_its_size(files):
    (files / "big.bin").write_bytes(bytes(3_500_000))
    overrides = ("target.ray.ship=[big.bin]", "target.ray.most_megabytes=2", RAY)
    made = make_submission(files / "digits.yaml", overrides, "ray")[1]
    with pytest.raises(PlaceError, match=r"big\.bin \(3\.5 MB\).*nothing was sent"):
        check_size(made.files, 2, "target.ray")


def test_a_secret_of_the_target_is_neither_needed_nor_sent(files):
    _, content = sent(files, "ray", "target.ray.token='${ENV:NOT_SET_ANYWHERE}'")
    assert content["target"] is None


def test_a_reference_to_a_secret_is_sent_as_a_reference(files, monkeypatch):
    monkeypatch.setenv("SHARED_FOLDER", "/shared/secret-place")
    made = make_submission(files / "digits.yaml", ("data=${ENV:SHARED_FOLDER}/d.npz", RAY), "ray")[
        1
    ]
    assert "${ENV:SHARED_FOLDER}/d.npz" in made.document
    assert "secret-place" not in made.document


def test_a_file_with_two_targets_needs_to_be_told_which(files):
    with pytest.raises(ExperimentFileError, match="--target NAME"):
        sent(files, None, "target={slurm: {}, ray: {}}")  # type: ignore[arg-type]


def test_the_only_target_of_a_file_is_the_one_meant(files):
    assert make_submission(files / "digits.yaml", ("target=local",))[0] == "local"


def test_a_hyperparameter_that_nothing_reads_is_refused_before_it_is_sent(files):
    with pytest.raises(ExperimentFileError, match="momentun"):
        sent(files, "ray", "model=mlp", "search_space.momentun=uniform(0, 1)")


def test_a_scheduler_of_ones_own_goes_with_what_it_imports(files):
    (files / "mine.py").write_text(
        "import deeper\nclass Mine:\n    name, milestones = 'mine', ()\n"
        "    def __init__(self, epochs, mode, at): pass\n"
        "    def report(self, *told): ...\n    def review(self, epoch): ...\n"
    )
    written = "caviar.scheduler={./mine.py:Mine: {at: 2}}"
    there, content = sent(files, "ray", written)
    assert {"mine.py", "deeper.py"} <= set(there)
    assert content["caviar"]["scheduler"] == {"./mine.py:Mine": {"at": 2}}
