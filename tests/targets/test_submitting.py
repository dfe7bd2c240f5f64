"""What keeps a run from being submitted, and what is known of one whose results lie elsewhere."""

from __future__ import annotations

import pytest
import yaml

from orchestrator.cli.submit import status_lines
from orchestrator.errors import ExperimentFileError, RunExistsError, UnknownNameError
from orchestrator.experiment import submission as jobs
from orchestrator.experiment.submission import submit
from orchestrator.records import RunFolder, acquire
from orchestrator.targets import Job, find_target, remember
from tests.cli.conftest import write_run
from tests.targets.places import PLACES, Slurm

GONE = "http://127.0.0.1:9"

AWAY = {
    "kuberay": (),
    "ray": ("target.ray.storage=/mnt/shared/runs",),
}
"""Places whose storage is another than ours, of which nobody said where we reach it."""


@pytest.fixture(params=sorted(AWAY))
def away(request, tmp_path, monkeypatch):
    place = PLACES[request.param](tmp_path, monkeypatch)
    place.overrides = (*place.overrides, *AWAY[request.param])
    yield place
    place.close()


def test_a_run_of_that_name_done_here_is_not_taken_for_the_one_elsewhere(away, submission, here):
    write_run("digits")
    job = submit(away.name, submission(away.name, *away.overrides))
    found = jobs.status(job.handle)
    assert (found.word, found.run) == ("running", None)
    assert "results not visible from here" in "\n".join(status_lines(found))
    with pytest.raises(UnknownNameError, match=rf"without target\.{away.name}\.results"):
        jobs.fetch(job.handle, here / "copies")


def test_results_that_are_given_are_looked_at_wherever_storage_is(away, submission, here):
    write_run("digits")
    given = f"target.{away.name}.results={here / 'runs'}"
    with pytest.raises(RunExistsError, match="not finished"):
        submit(away.name, submission(away.name, *away.overrides, given))


def test_a_run_of_that_name_in_another_place_of_the_kind_is_another_run(submission, tmp_path, monkeypatch):  # fmt: skip
    place = PLACES["kuberay"](tmp_path, monkeypatch)
    job = submit("kuberay", submission("kuberay", *place.overrides))
    elsewhere = "target.kuberay.namespace=other"
    assert submit("kuberay", submission("kuberay", elsewhere)).handle == "kuberay://other/digits"
    with pytest.raises(RunExistsError, match=job.handle):
        submit("kuberay", submission("kuberay", *place.overrides))
    place.close()


@pytest.fixture
def torn_down(submission, here, monkeypatch):
    """A job of a Ray cluster that is no more, and a place of another kind for its run."""
    remember(Job("ray", "raysubmit_1", "digits", "", str(here / "runs"), {"address": GONE}))
    return Slurm(here, monkeypatch)


def test_a_place_that_is_gone_keeps_no_run_from_being_submitted_again(torn_down, submission):
    write_run("digits", status="run_interrupted")
    assert submit("slurm", submission("slurm")).handle == "slurm://421"


def test_a_run_that_is_driven_is_under_way_though_its_place_does_not_answer(torn_down, submission):
    write_run("digits", status="run_interrupted")
    acquire(RunFolder.open("digits").driver_file)
    with pytest.raises(RunExistsError, match=r"ray://raysubmit_1"):
        submit("slurm", submission("slurm"))


@pytest.mark.parametrize("name", ["local", "slurm", "docker", "ray", "kuberay"])
@pytest.mark.parametrize(("written", "meant"), [("there", "{here}/there"), ("~/x", "{home}/x")])
def test_a_folder_of_results_is_the_same_from_everywhere(
    name, written, meant, submission, here, monkeypatch
):
    monkeypatch.setenv("HOME", "/home/ada")
    made = submission(name, f"target.{name}.results={written}")
    assert made.results == meant.format(here=here, home="/home/ada")


@pytest.mark.parametrize("name", ["local", "slurm", "docker"])
@pytest.mark.parametrize("key", ["results", "storage"])
def test_a_job_that_reads_a_folder_of_ours_is_refused_a_uri(name, key, submission):
    with pytest.raises(
        ExperimentFileError, match=rf"target\.{name}\.{key}.*expected a folder"
    ) as no:
        submission(name, f"target.{name}.{key}=s3://bucket/runs")
    assert "'s3://bucket/runs'" in str(no.value)


def test_a_uri_is_kept_for_a_place_that_needs_no_folder_of_ours(submission):
    assert submission("ray", "target.ray.results=s3://bucket/runs").results == "s3://bucket/runs"


PANDA = ("strategy=panda",)


@pytest.mark.parametrize(
    ("target", "written", "meant"),
    [
        ("slurm", "./runs/x", "{here}/runs/x"),
        ("slurm", "runs/x/00001", "{here}/runs/x/00001"),
        ("local", "../y", "{above}/y"),
        ("docker", "./runs/x/00001", "/runs/x/00001"),
        ("docker", "runs/x", "/runs/x"),
        ("docker", "{here}/runs/x", "/runs/x"),
        ("ray", "./runs/x", "{here}/runs/x"),
        ("kuberay", "x/00001", "x/00001"),
        ("kuberay", "/runs/x", "/runs/x"),
    ],
)
def test_a_panda_goes_on_from_a_run_as_the_place_names_it(target, written, meant, submission, here):
    write_run("x")
    places = {"here": here, "above": here.parent}
    panda = f"panda={{from: {written.format(**places)}}}"
    content = yaml.safe_load(submission(target, panda, *PANDA).document)
    assert content["panda"]["from"] == meant.format(**places)


@pytest.mark.parametrize(
    ("target", "written"),
    [("docker", "./elsewhere/x"), ("kuberay", "./runs/x"), ("ray", "../x")],
)
def test_a_run_that_the_place_does_not_see_is_no_start_for_a_panda(target, written, submission):
    with pytest.raises(
        ExperimentFileError, match=r"panda\.from: expected a run that the place sees"
    ):
        submission(target, f"panda={{from: {written}}}", *PANDA)


def test_a_shared_storage_path_is_where_this_machine_reaches_the_results(submission, here):
    for name in ("ray", "slurm", "local", "docker"):
        assert submission(name).results == str(here / "runs")
    assert submission("slurm", "target.slurm.storage=/mnt/runs").results == str(here / "runs")


def test_a_percent_sign_in_a_path_is_none_of_sbatch_s(submission, here):
    made = submission("slurm", f"storage_path={here}/50%u")
    assert f"#SBATCH --output={here}/50%%u/.jobs/digits/slurm-%j.log" in find_target(
        "slurm"
    ).prepare(made)


@pytest.mark.parametrize("key", ["partition", "account", "qos", "constraint", "extra"])
def test_an_option_of_slurm_stays_on_its_line(submission, key):
    value = '["a\\n#SBATCH --uid=0"]' if key == "extra" else '"a\\n#SBATCH --uid=0"'
    with pytest.raises(ExperimentFileError, match=f"target.slurm.{key}.*expected text on one line"):
        submission("slurm", f"target.slurm={{{key}: {value}}}")
