"""An experiment file becomes an Experiment here: read, checked key by key, completed, written."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.faces import load_when_used

if TYPE_CHECKING:
    from orchestrator.config.caviar_options import CaviarOptions
    from orchestrator.config.data_options import DataOptions
    from orchestrator.config.document import Document, parse_document, read_document, read_list
    from orchestrator.config.finalists_options import FinalistsOptions
    from orchestrator.config.limits import Duration, LimitOptions, ResourceOptions, RetryOptions
    from orchestrator.config.load import (
        check,
        load_experiment,
        parse_experiment,
        to_yaml,
        with_overrides,
        write_template,
    )
    from orchestrator.config.options import Experiment, Recalibration
    from orchestrator.config.panda_options import (
        PandaOptions,
        ScheduledChange,
    )
    from orchestrator.config.references import resolved
    from orchestrator.config.schema import experiment_schema
    from orchestrator.config.trial_options import TRIAL_KINDS, CommandTrial, TrialOptions
    from orchestrator.schedulers import (
        AshaOptions,
        MedianOptions,
        NoSchedulerOptions,
        SchedulerOptions,
    )
    from orchestrator.sitter import SitterOptions

__all__ = [
    "TRIAL_KINDS",
    "AshaOptions",
    "CaviarOptions",
    "CommandTrial",
    "DataOptions",
    "Document",
    "Duration",
    "Experiment",
    "FinalistsOptions",
    "LimitOptions",
    "MedianOptions",
    "NoSchedulerOptions",
    "PandaOptions",
    "Recalibration",
    "ResourceOptions",
    "RetryOptions",
    "ScheduledChange",
    "SchedulerOptions",
    "SitterOptions",
    "TrialOptions",
    "check",
    "experiment_schema",
    "load_experiment",
    "parse_document",
    "parse_experiment",
    "read_document",
    "read_list",
    "resolved",
    "to_yaml",
    "with_overrides",
    "write_template",
]

load_when_used(__name__)
