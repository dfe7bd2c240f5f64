"""``python -m tests.fuzz records|spaces SECONDS``: a coverage-guided search for crashers (needs atheris).

A crasher is written to tests/fuzz/crashers/<target>/, where tests/fuzz/test_crashers.py finds it.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["orchestrator", "json", "yaml"]):
    from tests.fuzz import seeds
    from tests.fuzz.targets import TARGETS

HERE = Path(__file__).parent
TOKENS = (
    "loguniform(", "one_minus_loguniform(", "integer(", "choice([", "step=", "when:", "domain:", "distribution:",
    "values:", '"event": "started"', '"trial": "00000"', '"epoch": 1', '"metrics": {', '"kind": "applied"',
    '"changes": {', "NaN", '"origin": {', "Infinity", "null", "1e400", "====", '"stretch": 1', '"to_day": 0',
    "&a [*a, *a]", "!!int", "<<: ",
)  # fmt: skip


def main(target: str, seconds: int) -> None:
    """Search for ``seconds``, from the seeds and what earlier searches found worth keeping."""
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108 (a run is written for each try)
    scratch = Path(tempfile.mkdtemp(prefix=f"fuzz-{target}-", dir=memory))
    corpus, crashers = scratch / "corpus", HERE / "crashers" / target
    corpus.mkdir()
    crashers.mkdir(parents=True, exist_ok=True)
    starts = seeds.records(scratch / "seed") if target == "records" else seeds.spaces()
    for number, content in enumerate(starts):
        (corpus / f"seed-{number}").write_bytes(content)
    words = (token.replace("\\", "\\\\").replace('"', '\\"') for token in TOKENS)
    (scratch / "tokens").write_text("".join(f'"{word}"\n' for word in words))
    run = scratch / "run"
    options = [str(corpus), f"-max_total_time={seconds}", f"-dict={scratch / 'tokens'}", "-max_len=8000",
               "-timeout=20", "-rss_limit_mb=4096", f"-artifact_prefix={crashers}/"]  # fmt: skip
    atheris.Setup([sys.argv[0], *options], lambda content: TARGETS[target](content, run))
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
