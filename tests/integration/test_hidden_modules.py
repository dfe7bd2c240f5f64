"""Ray's workers, too, find installed packages before files of those names beside the experiment."""

from __future__ import annotations

from orchestrator import run

RAISES = "raise RuntimeError('the file beside the experiment was imported')\n"


def test_trials_on_ray_import_the_real_modules_and_the_users_own(tmp_path, monkeypatch):
    for name in ("queue", "numpy", "pandas", "keras", "tensorflow", "orchestrator"):
        (tmp_path / f"{name}.py").write_text(RAISES)
    (tmp_path / "helper.py").write_text("def half(x):\n    return x / 2\n")
    (tmp_path / "train.py").write_text(
        "import helper\n\ndef train(hp, report):\n    import keras, numpy\n    report(score=helper.half(hp['x']))\n"
    )
    monkeypatch.chdir(tmp_path)
    ended = run(
        trial="./train.py:train", metric="score", mode="max", epochs=1, strategy="caviar",
        search_space={"x": "uniform(0, 1)"}, caviar={"num_samples": 1, "scheduler": "none"},
        name="one", storage_path="runs", progress=False,
    )  # fmt: skip
    assert {trial.status for trial in ended.records.trials} == {"finished"}
