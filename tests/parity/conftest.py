"""What a worker's process does before it trains, so that the exam runs as trials do."""

from __future__ import annotations

import os

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import tensorflow as tf


@pytest.fixture(autouse=True)
def as_in_a_worker(monkeypatch):
    """Graphs this small are traced more slowly than they run: workers leave them as they are."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    before = tf.config.optimizer.get_experimental_options()
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": True})
    yield
    tf.config.optimizer.set_experimental_options({"disable_meta_optimizer": False, **before})
    keras.config.set_dtype_policy("float32")
