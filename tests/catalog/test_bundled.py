from __future__ import annotations

import pytest

from orchestrator.catalog import BUNDLED_DATA, names
from orchestrator.data.load import READERS
from orchestrator.errors import PlaceError


def test_every_bundled_data_set_has_its_reader():
    assert set(BUNDLED_DATA) == set(READERS)


def test_the_wheels_folder_comes_before_a_folder_beside_the_package(tmp_path, monkeypatch):
    package = tmp_path / "site-packages" / "orchestrator"
    (package / "bundled" / "models").mkdir(parents=True)
    (package.parent / "models").mkdir()
    monkeypatch.setattr(names, "_PACKAGE", package)
    assert names.bundled_folder("models") == package / "bundled" / "models"


def test_the_checkouts_folder_is_at_the_top(tmp_path, monkeypatch):
    (tmp_path / "search_spaces").mkdir()
    (tmp_path / "search_spaces" / "mlp.yaml").touch()
    monkeypatch.setattr(names, "_PACKAGE", tmp_path / "orchestrator")
    assert names.bundled_names("search_spaces") == ("mlp",)
    with pytest.raises(PlaceError, match="install it again"):
        names.bundled_folder("models")
