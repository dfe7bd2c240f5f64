"""Runs whose trials run a user's program are checked, recorded, cut off, resumed and submitted as others are."""

from __future__ import annotations

import json
import stat
import sys

import pytest

from orchestrator.config import load_experiment, parse_experiment, to_yaml
from orchestrator.errors import ExperimentFileError, OrchestratorError
from orchestrator.experiment import preview, resume, run
from orchestrator.experiment.config_drift import other_versions
from orchestrator.experiment.submission import make_submission
from orchestrator.records import read_run
from orchestrator.targets.target import write_submission
from orchestrator.trials import command, interpreter
from tests.experiment.test_function_trials import QUIETLY, cut_off, facts

MINE = """
echo "trial with $1" >&2
for epoch in 1 2 3 4 5; do echo "{\\"epoch\\": $epoch, \\"val_loss\\": $1, \\"loss\\": $epoch}"; done
"""
KEYS = {
    "name": "cmd", "trial": {"command": "./mine.sh {rate}"}, "metric": "val_loss", "epochs": 5,
    "search_space": {"rate": "loguniform(1e-3, 1)"},
    "caviar": {"num_samples": 4, "scheduler": {"asha": {"promote": True}}},
}  # fmt: skip


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    program = tmp_path / "mine.sh"
    program.write_text(f"#!/bin/sh\n{MINE}")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return tmp_path


def test_a_run_is_ranked_kept_and_gone_on_with(here):
    done = run(KEYS, **QUIETLY)
    assert done.status == "finished" and {t.status for t in done.records.trials} == {
        "finished",
        "stopped",
    }
    rates = [trial.hyperparameters["rate"] for trial in done.records.contenders]
    assert done.best.value == rates[0] == min(rates)
    assert {trial.path for trial in done.records.trials} == {"command"}
    assert list(done.records.manifest["trial"]["files"]) == ["mine.sh"]
    assert (done.path / "logs" / "00000.stderr.txt").read_text().startswith("trial with 0.")
    whole = facts(done.records)
    cut_off(done.path, 4, 1)
    assert facts(resume(done.path, **QUIETLY).records) == whole


def test_it_is_not_gone_on_with_by_another_program(here):
    done = run(KEYS, **QUIETLY)
    cut_off(done.path, 4, 1)
    (here / "mine.sh").write_text(f"#!/bin/sh\n{MINE}\n:")
    with pytest.raises(ExperimentFileError, match=r"code of trial \./mine\.sh \{rate\}"):
        resume(done.path, **QUIETLY)


def test_one_that_fails_is_a_row_beside_the_others(here):
    (here / "mine.sh").write_text(
        "#!/bin/sh\necho $1 >> begun\n[ $(wc -l < begun) = 2 ] && echo 'no such luck' >&2 && exit 3\n"
        + MINE
    )
    run({**KEYS, "caviar": {"num_samples": 3, "scheduler": "none"}}, **QUIETLY)
    trials = read_run(here / "runs" / "cmd").trials
    assert [trial.status for trial in trials] == ["finished", "failed", "finished"]
    assert "the program ended with exit code 3: no such luck" in trials[1].error


@pytest.mark.parametrize(
    ("command", "files"),
    [
        ("python3 -u train.py {rate}", ["beside.py", "train.py"]),
        ("python3 -m train --data=data.txt {rate}", ["beside.py", "data.txt", "train.py"]),
        (["./mine.sh", ["--rate", "{rate}"]], ["mine.sh"]),
    ],
)
def test_what_is_submitted_has_the_files_that_its_command_names(here, command, files):
    (here / "train.py").write_text("import beside")
    (here / "beside.py").write_text("")
    (here / "data.txt").write_text("1")
    (here / "cmd.yaml").write_text(json.dumps({**KEYS, "trial": {"command": command}}))
    _, sent = make_submission(here / "cmd.yaml", target="local")
    assert [file.there for file in sent.files] == files
    again = load_experiment(here / "cmd.yaml")
    assert parse_experiment(json.loads(json.dumps(again.model_dump()))).trial == again.trial
    assert to_yaml(again) and sent.document


def test_a_program_that_is_submitted_may_still_be_run(here):
    (here / "cmd.yaml").write_text(json.dumps(KEYS))
    _, sent = make_submission(here / "cmd.yaml", target="local")
    write_submission(sent, here / "there")
    (here / "mine.sh").unlink()
    there = load_experiment(here / "there" / "experiment.yaml")
    assert run(there, **QUIETLY).status == "finished"


def test_preview_says_what_a_trial_is(here):
    assert "a run of ./mine.sh {rate}" in repr(preview(KEYS))


SPACE = {"rate": "loguniform(1e-3, 1)", "units": "integer(1, 9)"}
SOMETIMES = {"k": "choice([x, y])", "a": {"domain": "uniform(0, 1)", "when": {"k": "x"}}}
COMMANDS = {
    "./mine.sh {ratte}": "braces. Received: 'ratte'. Did you mean 'rate'?",
    "nothere {rate}": "a program on PATH, or ./file beside the experiment. Received: 'nothere'.",
    "mine.sh {rate}": "For the file beside the experiment write ./mine.sh.",
    "./other.sh {rate}": "expected a program. Received: ./other.sh, and no file",
    "./plain {rate}": "which may not: chmod +x",
    "./mine.sh {rate": "expected names in braces",
    "./mine.sh {rate:.3f}": "expected names in braces",
    "./mine.sh 'a {rate}": "quotes in pairs (No closing quotation)",
}
SPACES = {
    "./mine.sh {rate}": (SPACE, "search_space.units: expected a hyperparameter that the program"),
    "./mine.sh {rate} {seed}": ({"seed": 3}, "another name, since {seed} is the trial's"),
    "./mine.sh {rate} {Rate}": (
        {"Rate": 3},
        "names that differ in more than case and punctuation (rate)",
    ),
    "./mine.sh {rate} {a}": (SOMETIMES, "a does not exist in every trial. Write the command as a"),
}
OPTIONS = [
    ({"command": './mine.sh "{rate}"', "shell": True}, "expected {rate} outside of quotes"),
    ({"command": ["./mine.sh"], "shell": True}, "expected one text beside shell: true"),
    ({"command": []}, "trial.command: expected a text (in quotes if it"),
    ({"metrics": {"val_loss": "x"}}, "expected a regular expression with one group"),
    ({"metrics": {"val_loss": "("}}, "expected a regular expression ("),
    ({"metrics": {"loss": "(.)"}}, "metric: expected metric to be one of trial.metrics."),
    ({"metrics": {"val_loss": "(.)", "time": "(.)"}}, "trial.metrics: expected a metric's name"),
    ({"epoch": "(.)"}, "expected none without trial.metrics"),
    (
        {"command": "./mine.sh {rate} {checkpoint}", "metrics": {"val_loss": "(.)"}},
        "expected a regular expression of the epoch's number",
    ),
    ({"metrcs": {}}, "unknown key. Received: 'metrcs'. Did you mean 'metrics'?"),
    ({"function": "./mine.py"}, "expected what each trial runs, under one of the keys"),
    ({"grace_seconds": -1}, "expected a number of at least 0"),
]


@pytest.mark.parametrize(
    ("trial", "space", "said"),
    [
        *(({"command": command}, {}, said) for command, said in COMMANDS.items()),
        *(({"command": command}, *told) for command, told in SPACES.items()),
        *(({"command": "./mine.sh {rate}", **options}, {}, said) for options, said in OPTIONS),
    ],
)
def test_what_is_wrong_is_refused_in_one_sentence(here, trial, space, said):
    (here / "plain").write_text("")
    space = {**KEYS["search_space"], **space}
    with pytest.raises(OrchestratorError) as caught:
        preview({**KEYS, "trial": trial, "search_space": space})
    assert said in str(caught.value)
    assert not (here / "runs").exists()


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("./mine.sh {rate} {config}", ""),
        ("./mine.sh {rate}", "echo $ORCHESTRATOR_HP_UNITS"),
        ("env UNITS={units} ./mine.sh {rate}", ""),
    ],
)
def test_a_hyperparameter_may_be_given_in_any_way(here, command, text):
    (here / "mine.sh").write_text(text)
    assert preview({**KEYS, "trial": {"command": command}, "search_space": SPACE})


FUNCTION = """
def train(hp, report):
    for epoch in range(1, 6):
        report(epoch, val_loss=hp["rate"] / epoch)
"""
BY_PYTHON = {**KEYS, "trial": {"function": "./train.py:train", "python": "./python"}}


@pytest.fixture
def python(here):
    (here / "python").symlink_to(sys.executable)
    (here / "train.py").write_text(FUNCTION)


def test_a_function_runs_in_another_python_that_is_recorded(here, python):
    done = run(BY_PYTHON, **QUIETLY)
    assert (
        done.status == "finished"
        and done.best.value
        == min(trial.hyperparameters["rate"] for trial in done.records.trials) / 5
    )
    version = ".".join(map(str, sys.version_info[:3]))
    recorded = done.records.manifest["trial"]["python"]
    assert recorded == {"path": str(here / "python"), "version": version}
    whole = facts(done.records)
    cut_off(done.path, 4, 1)
    assert facts(resume(done.path, **QUIETLY).records) == whole
    assert f"a call of ./train.py:train in Python {version}" in repr(
        preview({**BY_PYTHON, "name": "x"})
    )


def test_a_command_finds_its_python(here, python):
    (here / "mine.py").write_text(
        "import json, sys; print(json.dumps({'val_loss': float('/python' in sys.executable)}))"
    )
    trial = {"command": "python3 -S mine.py {rate}", "python": "./python"}
    done = run({**KEYS, "trial": trial, "caviar": {"num_samples": 1}}, **QUIETLY)
    assert done.best.value == 1.0 and "path" in done.records.manifest["trial"]["python"]


def test_an_interpreter_that_is_not_there_is_refused(here, python):
    trial = {"function": "./train.py:train", "python": "./env/bin/python"}
    with pytest.raises(OrchestratorError, match=r"trial\.python: expected an interpreter"):
        preview({**KEYS, "trial": trial})


def test_one_that_a_file_names_is_missed_at_its_line(here, python):
    trial = {"function": "./train.py:train", "python": "./env/bin/python"}
    (here / "mine.yaml").write_text(json.dumps({**KEYS, "trial": trial}, indent=1))
    with pytest.raises(
        OrchestratorError, match=r"mine\.yaml, line \d+, trial\.python: expected an"
    ):
        preview("mine.yaml")


def test_another_version_of_it_is_recorded_and_said_when_a_run_goes_on(here, python):
    done = run({**KEYS, **BY_PYTHON, "caviar": {"num_samples": 1}}, **QUIETLY)
    manifest = json.loads(done.records.folder.manifest_file.read_text())
    now = manifest["trial"]["python"]["version"]
    assert other_versions(done.records) == {}
    manifest["trial"]["python"]["version"] = "3.7.1"
    done.records.folder.manifest_file.write_text(json.dumps(manifest))
    assert other_versions(read_run(done.path)) == {"trial.python": ("3.7.1", now)}


def test_an_interpreter_is_found_from_where_a_job_lies_that_sees_our_files(here, python):
    (here / "cmd.yaml").write_text(json.dumps(BY_PYTHON))
    _, sent = make_submission(here / "cmd.yaml", target="local")
    assert f"python: {here / 'python'}" in sent.document
    assert [file.there for file in sent.files] == ["train.py"]


@pytest.mark.parametrize("trial", [{"command": "./mine.sh {rate}"}, BY_PYTHON["trial"]])
def test_one_whose_epoch_does_not_end_is_stopped_by_a_limit(here, python, trial, monkeypatch):
    monkeypatch.setattr(command, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(interpreter, "LOOK_SECONDS", 0.05)
    monkeypatch.setattr(interpreter, "ENDING_SECONDS", 0.05)
    (here / "mine.sh").write_text(f"#!/bin/sh\n{MINE}\nwhile true; do sleep 0.05; done")
    (here / "train.py").write_text(FUNCTION + "    import time\n    time.sleep(1000)\n")
    limits = {"max_trial_time": "1 seconds"}
    options = {"num_samples": 2, "scheduler": "none"}
    keys = {**KEYS, "trial": trial, "limits": limits, "caviar": options, "epochs": 9}
    done = run(keys, **QUIETLY)
    ends = [(t.status, t.stopped_by["scheduler"]) for t in done.records.trials]
    assert ends == [("stopped", "max_trial_time")] * 2


def test_an_environment_that_a_place_does_not_see_is_refused_before_anything_is_sent(here, python):
    (here / "cmd.yaml").write_text(json.dumps(BY_PYTHON))
    with pytest.raises(
        ExperimentFileError, match=r"trial\.python: expected an interpreter that the"
    ):
        make_submission(here / "cmd.yaml", target="docker")
    _, sent = make_submission(
        here / "cmd.yaml", ["trial.python=/opt/env/bin/python"], target="docker"
    )
    assert "/opt/env/bin/python" in sent.document
