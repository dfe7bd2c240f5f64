"""A run goes on as what it was when it began, or is refused with all that differs."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml

from orchestrator.errors import ExperimentFileError
from orchestrator.experiment.config_drift import other_versions
from orchestrator.experiment.extension import Growth, prepare_to_extend, write_down
from orchestrator.experiment.resume import prepare_to_resume
from orchestrator.records import RunWriter, read_run
from orchestrator.records.run import sources_of
from tests.depth import further, in_depth

NONE = {"scheduler": "none", "num_samples": 3}
CUT_OFF = [(0, [0.1, 0.2, 0.3], "finished"), (1, [0.1], "interrupted")]
NET = """
import keras
from layers import block

def build(hp, input_shape, num_classes):
    hp.get("units", 8)
    return block(input_shape, num_classes)
"""
LAYERS = """
import keras

def block(shape, classes):
    return keras.Sequential([keras.Input(shape), keras.layers.Dense(classes, "softmax")])
"""
LOAD = "import rows\n\ndef load():\n    return rows.x, rows.y\n"
ROWS = "import numpy as np\nx = np.arange(200.0).reshape(100, 2)\ny = np.arange(100) % 2\n"


def edit(run, change):
    """Change the run's own experiment.yaml by hand."""
    content = yaml.safe_load(run.folder.experiment_file.read_text())
    change(content)
    run.folder.experiment_file.write_text(yaml.safe_dump(content))


def tell(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


@pytest.fixture
def cut_off(written):
    return written(caviar=NONE).writes(*CUT_OFF, event="run_interrupted")


@pytest.fixture
def of_files(written, tmp_path):
    """A run, cut off, of a model and of data that are functions in files, each with a file beside it."""
    for name, text in {
        "net.py": NET, "layers.py": LAYERS, "load.py": LOAD, "rows.py": ROWS,
    }.items():  # fmt: skip
        (tmp_path / name).write_text(text)
    run = written(model="./net.py", data="./load.py", caviar=NONE)
    return run.writes(*CUT_OFF, event="run_interrupted")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda e: e.update(seed=5), "seed: 4 -> 5"),
        (lambda e: e.update(epochs=9), "epochs: 3 -> 9"),
        (lambda e: e.update(metric="val_loss", mode="min"), "mode: max -> min"),
        (lambda e: e["data"].update(validation=0.4), "data.validation: 0.2 -> 0.4"),
        (lambda e: e["caviar"].update(num_samples=5), "caviar.num_samples: 3 -> 5"),
        (
            lambda e: e["search_space"].update(units="choice([64])"),
            "search_space.units: choice([8, 16]) -> choice([64])",
        ),
        (lambda e: e.pop("metric"), None),  # what is left out has its default, which it had
        (lambda e: e.update(storage_path="/elsewhere"), None),
    ],
)
@pytest.mark.parametrize("way", in_depth(["resume", "extend"], "resume"))
def test_an_edited_experiment_is_refused_with_both_values(cut_off, change, said, way):
    edit(cut_off, change)
    before = cut_off.files
    if said is None:
        prepare_to_resume(cut_off.folder)
        return
    with pytest.raises(ExperimentFileError, match="the run began with") as refused:
        if way == "resume":
            prepare_to_resume(cut_off.folder)
        else:
            prepare_to_extend(cut_off.folder, Growth({"num_samples": "+1"}))
    assert said in str(refused.value)
    assert str(cut_off.folder.experiment_file) in str(refused.value)
    assert "orchestrator extend" in str(refused.value)
    assert cut_off.files == before


def test_what_extensions_changed_is_no_edit_and_an_edit_after_them_is_one(written):
    run = written(caviar=NONE).writes(*[(at, [0.1, 0.2, 0.3], "finished") for at in range(3)])
    for more in ({"num_samples": "+1"}, {"epochs": 4}):
        extended = prepare_to_extend(run.folder, Growth(more))
        with RunWriter(run.folder) as writer:
            write_down(extended, run.folder, writer)
            writer.event("run_interrupted")
    assert prepare_to_resume(run.folder).prepared.plan.epochs == 4
    edit(run, lambda e: e.update(keep_checkpoints=9))
    with pytest.raises(ExperimentFileError, match="keep_checkpoints: 1 -> 9"):
        prepare_to_resume(run.folder)


def test_a_run_whose_manifest_has_no_experiment_goes_on(cut_off):
    tell(cut_off.folder.manifest_file, lambda manifest: manifest.pop("experiment"))
    edit(cut_off, lambda e: e.update(epochs=9))
    assert prepare_to_resume(cut_off.folder).prepared.plan.epochs == 9


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        (
            "layers.py",
            LAYERS.replace("keras.Input(shape),", "keras.Input(shape), keras.layers.Dense(4),"),
            "expected the model the run began with",
        ),
        further("net.py", NET + "\n", "expected the model the run began with"),
        ("rows.py", ROWS.replace("% 2", "// 50"), "expected the data the run began with"),
        further(
            "load.py", LOAD.replace("rows.x", "rows.x + 1"), "expected the data the run began with"
        ),
    ],
)
def test_another_file_of_code_is_named(of_files, tmp_path, file, content, said):
    prepare_to_resume(of_files.folder)
    (tmp_path / file).write_text(content)
    with pytest.raises(ExperimentFileError, match=said) as refused:
        prepare_to_resume(of_files.folder)
    assert f"(changed: {file})" in str(refused.value)


def test_a_loader_written_otherwise_that_gives_the_same_rows_is_the_same_data(of_files, tmp_path):
    (tmp_path / "rows.py").write_text(ROWS + "# the same\n")
    prepare_to_resume(of_files.folder)


def test_an_extension_names_the_changed_file_and_forced_it_is_a_group_that_resumes(
    of_files, tmp_path
):
    (tmp_path / "layers.py").write_text(
        LAYERS.replace("classes, ", "classes, use_bias=False, activation=")
    )
    with pytest.raises(ExperimentFileError, match=r"\(changed: layers\.py\)"):
        prepare_to_extend(of_files.folder, Growth({"num_samples": "+1"}))
    forced = prepare_to_extend(of_files.folder, Growth({"num_samples": "+1"}), force=True)
    with RunWriter(of_files.folder) as writer:
        write_down(forced, of_files.folder, writer)
    assert prepare_to_resume(of_files.folder).records.state.group == 2


def test_data_in_a_file_are_known_by_their_content(written, tmp_path):
    def write(offset):
        x, y = np.arange(200.0).reshape(100, 2) + offset, np.arange(100) % 2
        np.savez(tmp_path / "rows.npz", x=x, y=y)

    write(0)
    run = written(data="./rows.npz", caviar=NONE).writes(*CUT_OFF, event="run_interrupted")
    write(0)
    prepare_to_resume(run.folder)
    write(1)
    with pytest.raises(ExperimentFileError, match="expected the data the run began with"):
        prepare_to_resume(run.folder)


def test_a_model_known_by_its_own_file_alone_is_compared_by_that(of_files, tmp_path):
    def as_older(manifest):
        own = manifest["model"].pop("files")["net.py"]
        manifest["model"]["fingerprint"] = own

    tell(of_files.folder.manifest_file, as_older)
    prepare_to_resume(of_files.folder)
    (tmp_path / "net.py").write_text(NET + "\n")
    with pytest.raises(ExperimentFileError, match="expected the model"):
        prepare_to_resume(of_files.folder)


def settings(tmp_path, monkeypatch, **told):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "keras.json").write_text(json.dumps(told))


def test_what_keras_is_told_is_recorded_and_another_epsilon_is_refused(
    cut_off, tmp_path, monkeypatch
):
    assert json.loads(cut_off.folder.manifest_file.read_text())["keras"] == {
        "floatx": "float32", "epsilon": 1e-07, "image_data_format": "channels_last",
        "backend": "tensorflow",
    }  # fmt: skip
    settings(tmp_path, monkeypatch, epsilon=1e-3)
    with pytest.raises(ExperimentFileError, match="expected the settings the run") as refused:
        prepare_to_resume(cut_off.folder)
    assert f"epsilon in {tmp_path / 'keras.json'}: 1e-07 -> 0.001" in str(refused.value)
    with pytest.raises(ExperimentFileError, match="epsilon in"):
        prepare_to_extend(cut_off.folder, Growth({"num_samples": "+1"}))


def test_other_versions_are_told_once_and_refuse_nothing(cut_off, monkeypatch):
    def older(manifest):
        manifest["versions"] |= {"keras": "3.0.0", "python": "3.9.1"}

    assert other_versions(read_run(cut_off.folder.path)) == {}
    tell(cut_off.folder.manifest_file, older)
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    records = prepare_to_resume(cut_off.folder).records
    changes = other_versions(records)
    assert {name: before for name, (before, _) in changes.items()} == {
        "keras": "3.0.0", "python": "3.9.1", "TF_ENABLE_ONEDNN_OPTS": None,
    }  # fmt: skip
    with RunWriter(cut_off.folder) as writer:
        writer.event("other_versions", changes=changes)
    assert other_versions(read_run(cut_off.folder.path)) == {}


SCHEDULER = """
class Mine:
    name = "mine"
    milestones = (1,)
    def __init__(self, epochs, mode): pass
    def report(self, trial, epoch, value, ties): ...
    def review(self, epoch): return {}
"""


def test_another_scheduler_of_ones_own_is_named_and_an_extension_may_bring_one(written, tmp_path):
    (tmp_path / "mine.py").write_text(SCHEDULER)
    run = written(caviar={"num_samples": 3, "scheduler": "./mine.py:Mine"})
    run.writes(*CUT_OFF, event="run_interrupted")
    assert prepare_to_resume(run.folder).search.scheduler.name == "mine"
    (tmp_path / "mine.py").write_text(SCHEDULER.replace("(1,)", "(2,)"))
    with pytest.raises(ExperimentFileError, match="expected the scheduler the run began with"):
        prepare_to_resume(run.folder)
    (tmp_path / "other.py").write_text(SCHEDULER)
    more = Growth({"num_samples": "+1", "scheduler": "./other.py:Mine"})
    assert prepare_to_extend(run.folder, more).prepared.plan.scheduler.code.place.endswith(
        "other.py"
    )


def test_a_project_moved_with_its_runs_is_found_where_it_is_now(of_files, tmp_path):
    before = of_files.folder.path
    project = tmp_path.rename(tmp_path.with_name("moved"))
    assert sources_of(read_run(project / before.relative_to(tmp_path))) == project
