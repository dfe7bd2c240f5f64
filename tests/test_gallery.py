"""The files of the gallery are experiments that run as they stand: here they are read, not trained."""

from __future__ import annotations

import subprocess
import sys

import pandas as pd

from orchestrator.catalog import find_data, space_of
from orchestrator.config import load_experiment
from tests.pages import lay_out


def test_each_file_of_the_gallery_is_an_experiment_on_data_that_are_made_there(tmp_path):
    lay_out("gallery.md", tmp_path, forked=False)
    subprocess.run([sys.executable, "make_data.py"], cwd=tmp_path, check=True)
    files = sorted(tmp_path.glob("*.yaml"))
    assert len(files) == 4
    for file in files:
        experiment = load_experiment(file)
        space_of(experiment)
        data = pd.read_csv(find_data(experiment.data_options.source, file.parent).place)
        assert experiment.data_options.label in data.columns
