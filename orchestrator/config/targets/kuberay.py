"""The options of the target ``kuberay``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from orchestrator.config.targets.place import Memory, PlaceOptions, Texts
from orchestrator.fields import AS_LIST, Count, Flag, Options, Real, Text, Whole, field_error

MOST_QUEUED_GROUPS = 6
"""Kueue before 0.18 admits 8 sets of Pods; the head and the Pod that submits are two of them."""


class TolerationOptions(Options):
    """A taint that the pods tolerate."""

    key: Text | None = Field(default=None, description="The taint's key. Default: every key.")
    operator: Literal["Exists", "Equal"] = Field(
        default="Exists", description="Exists; or Equal, which compares with value."
    )
    value: Text | None = Field(default=None, description="The taint's value, for Equal.")
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = Field(
        default=None, description="The effect to tolerate. Default: every effect."
    )


Tolerations = Annotated[tuple[TolerationOptions, ...], Field(strict=False), AS_LIST]


class WorkerGroupOptions(Options):
    """Workers of one kind."""

    name: Text = Field(default="workers", description="The group's name.")
    replicas: Whole = Field(default=1, description="How many workers it starts with.")
    min_replicas: Whole = Field(default=0, description="The fewest that the autoscaler keeps.")
    max_replicas: Count = Field(default=4, description="The most that the autoscaler starts.")
    cpus: Real = Field(default=1, gt=0, description="CPU cores of each worker.")
    memory: Memory = Field(default="4Gi", description="Memory of each worker.")
    gpus: Whole = Field(default=0, description="GPUs of each worker.")
    node_selector: dict[str, str] = Field(
        default_factory=dict, description="Labels of the nodes on which they run."
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
        default=None, description="The context of the kubeconfig. Default: the current one."
    )
    namespace: Text = Field(default="default", description="The namespace.")
    image: Text = Field(
        default="orchestrator", description="The image that has the orchestrator installed."
    )
    image_pull_secrets: Texts = Field(default=(), description="Secrets for pulling the image.")
    service_account: Text | None = Field(
        default=None, description="The service account of the pods."
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
        default=False,
        description="Let Ray start and remove workers between min_replicas and max_replicas.",
    )
    tolerations: Tolerations = Field(default=(), description="Taints that the pods tolerate.")
    environment: dict[str, Text] = Field(
        default_factory=dict, description="Environment variables of the run; no secrets."
    )
    secrets: Texts = Field(
        default=(), description="Secrets whose keys become environment variables of the run."
    )
    queue: Text | None = Field(default=None, description="The local queue of Kueue.")
    retries: Whole = Field(
        default=3,
        description="How often a failed job is retried; a retry continues where the last one stopped.",
    )
    time_limit_seconds: Count | None = Field(
        default=None, description="The job is ended after this time."
    )
    ttl_seconds: Whole = Field(
        default=60,
        description="How long the cluster, GPUs included, remains after the run has ended. The RayJob itself remains "
        "longer.",
    )
    most_megabytes: Count = Field(
        default=1, description="A larger upload is refused: a ConfigMap cannot hold more."
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
