"""The options of the target ``kuberay``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from orchestrator.config.targets.place import Memory, PlaceOptions, Texts
from orchestrator.fields import AS_LIST, Count, Flag, Options, Real, Text, Whole, field_error

MOST_QUEUED_GROUPS = 6
"""Kueue before 0.18 admits 8 sets of Pods; the head and the Pod that submits are two of them."""


class TolerationOptions(Options):
    """A taint that the pods put up with."""

    key: Text | None = Field(default=None, description="The taint's key; left out, every one.")
    operator: Literal["Exists", "Equal"] = Field(
        default="Exists", description="Exists, or Equal to value."
    )
    value: Text | None = Field(default=None, description="The taint's value, with Equal.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="The effect tolerated; left out, every one."
    )


Tolerations = Annotated[tuple[TolerationOptions, ...], Field(strict=False), AS_LIST]


class WorkerGroupOptions(Options):
    """Workers of one kind."""

    name: Text = Field(default="workers", description="The group's name.")
    replicas: Whole = Field(default=1, description="How many it starts with.")
    min_replicas: Whole = Field(default=0, description="The fewest that the autoscaler leaves.")
    max_replicas: Count = Field(default=4, description="The most that the autoscaler starts.")
    cpus: Real = Field(default=1, gt=0, description="CPU cores of each.")
    memory: Memory = Field(default="4Gi", description="Memory of each.")
    gpus: Whole = Field(default=0, description="GPUs of each.")
    node_selector: dict[str, str] = Field(
        default_factory=dict, description="Labels of the nodes that they run on."
    )

    @model_validator(mode="after")
    def _in_order(self) -> WorkerGroupOptions:
        if not self.min_replicas <= self.replicas <= self.max_replicas:
            expected = "expected min_replicas <= replicas <= max_replicas"
            received = f"{self.min_replicas}, {self.replicas}, {self.max_replicas}"
            raise field_error(("target", "kuberay", "workers"), expected, received)
        return self


class KubeRayOptions(PlaceOptions):
    """A RayJob on Kubernetes, which KubeRay turns into a cluster for this run alone."""

    storage: Text | None = Field(
        default="/runs", description="Where the storage claim is mounted in the pods."
    )
    context: Text | None = Field(
        default=None, description="The context of kubeconfig; left out, the current one."
    )
    namespace: Text = Field(default="default", description="The namespace.")
    image: Text = Field(default="orchestrator", description="The image that has the orchestrator.")
    image_pull_secrets: Texts = Field(
        default=(), description="Secrets by which the image is pulled."
    )
    service_account: Text | None = Field(
        default=None, description="The account that the pods run as."
    )
    storage_claim: Text = Field(
        default="orchestrator-runs",
        description="The PersistentVolumeClaim, ReadWriteMany, that holds the runs.",
    )
    cpus: Real = Field(default=1, gt=0, description="CPU cores of the head.")
    memory: Memory = Field(default="4Gi", description="Memory of the head.")
    workers: Annotated[tuple[WorkerGroupOptions, ...], Field(strict=False), AS_LIST] = Field(
        default=(WorkerGroupOptions(),), description="The groups of workers."
    )
    autoscaling: Flag = Field(
        default=False, description="Let Ray start and end workers between min and max replicas."
    )
    tolerations: Tolerations = Field(default=(), description="Taints that the pods put up with.")
    environment: dict[str, Text] = Field(
        default_factory=dict, description="Environment variables of the run: no secrets."
    )
    secrets: Texts = Field(
        default=(), description="Secrets whose keys become environment variables of the run."
    )
    queue: Text | None = Field(default=None, description="The local queue of Kueue.")
    retries: Whole = Field(
        default=3, description="How often a failed job is tried again; it goes on where it was."
    )
    time_limit_seconds: Count | None = Field(
        default=None, description="After this the job is ended."
    )
    ttl_seconds: Whole = Field(
        default=60,
        description="How long the cluster of a run that has ended stays, GPUs included; the RayJob stays after it.",
    )
    most_megabytes: Count = Field(
        default=1, description="More than this is not sent: a ConfigMap holds no more."
    )

    @model_validator(mode="after")
    def _queued(self) -> KubeRayOptions:
        if self.queue is None:
            return self
        if self.autoscaling:
            expected = (
                "expected no queue beside autoscaling: Kueue admits a fixed number of workers"
            )
            raise field_error(("target", "kuberay", "queue"), expected, self.queue)
        if len(self.workers) > MOST_QUEUED_GROUPS:
            expected = f"expected at most {MOST_QUEUED_GROUPS} groups beside a queue of Kueue"
            raise field_error(("target", "kuberay", "workers"), expected, len(self.workers))
        return self
