"""The target ray: what Ray's own client packs and sends."""

from __future__ import annotations

import io
import zipfile

from orchestrator.experiment.submission import submit
from tests.targets.places import Ray


def test_what_is_listed_is_what_is_sent_ignore_files_or_not(
    here, submission, tmp_path, monkeypatch
):
    data = here / "data"
    (data / "deep").mkdir(parents=True)
    for name in ("t.csv", "deep/u.csv", ".hidden", ".gitignore", "deep/.rayignore"):
        (data / name).write_text("*.csv\n")
    place = Ray(tmp_path, monkeypatch)
    made = submission("ray", "target.ray.ship=[data, data/.gitignore]", *place.overrides)
    submit("ray", made)
    place.close()
    with zipfile.ZipFile(io.BytesIO(place.packages[-1])) as package:
        sent = {name for name in package.namelist() if not name.endswith("/")}
    assert sent == {"experiment.yaml", *(file.there for file in made.files)}
    assert {"data/t.csv", "data/deep/u.csv", "data/.hidden"} <= sent
