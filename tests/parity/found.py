"""Random models in which ours once differed from plain Keras, made as plain as they got."""

from __future__ import annotations

from tests.parity.grammar import Sample

FOUND: dict[str, Sample] = {}
