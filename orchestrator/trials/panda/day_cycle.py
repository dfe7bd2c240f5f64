"""What happens by itself: the learning-rate test before day 1, the sitter's look at each epoch and day, a day's end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from orchestrator.errors import RecordError, RequestError, TrialError
from orchestrator.records import score_of
from orchestrator.sitter import (
    DayRecord,
    Finding,
    Kept,
    Sitter,
    after_own_rollback,
    keep_best,
    learning_rates,
    suggest,
)
from orchestrator.trials import save_checkpoint
from orchestrator.trials.judging import finite
from orchestrator.trials.panda.request_handler import change, rollback
from orchestrator.trials.panda.state import (
    Epochs,
    LiveModel,
    Panda,
    PandaState,
    checkpoint,
    chosen,
    note,
)

_RATE_TEST = "learning_rate_test"


def sitter_of(panda: Panda) -> Sitter:
    """Return who watches: one that may act only advises where the model's learning rate cannot be set."""
    nursery, objective, model = panda.nursery, panda.objective, panda.model
    options = nursery.sitter
    if options.mode == "act" and model.why_rate_is_fixed is not None:
        options = options.model_copy(update={"mode": "advise"})
    return Sitter(options, objective.metric, objective.mode, model.validation_rows, nursery.epochs)


def day_0(state: PandaState, panda: Panda) -> PandaState:
    """Show the sitter the untrained model, against which a first epoch is judged."""
    state = _note_fixed_rate(state, panda)
    metrics = panda.model.untrained()
    memory, _ = sitter_of(panda).after_day(state.monitor, _day_record(state, panda, metrics))
    return replace(state, monitor=memory)


def find_learning_rate(state: PandaState, panda: Panda) -> PandaState:
    """Find a starting α by a range test; the model is put back exactly as it was."""
    model, nursery = panda.model, panda.nursery
    if not nursery.learning_rate_test or state.tested or model.why_rate_is_fixed is not None:
        return state
    before = model.checkpoint({})
    rates = learning_rates()
    losses = model.losses_at(rates)
    model.resume(before)
    state = replace(state, tested=True)
    found = suggest(rates, losses)
    old = model.hyperparameters["learning_rate"]
    if found is None:
        why = (
            "found no rate at which the loss clearly fell"
            if losses
            else "was not possible, since the model has an optimizer of its own"
        )
        said = f"{why}; it trains with learning_rate {old:.4g}"
        facts = {"suggests": said, "changes": {}, "evidence": {}, "done": False}
        return note(state, panda, "advice", rule=_RATE_TEST, **facts)
    used = nursery.uses_tested_rate
    kept = "" if used else f"; it trains with {old:.4g}, as panda.start says"
    state = note(
        state,
        panda,
        "advice",
        rule=_RATE_TEST,
        suggests=f"start with learning_rate {found.learning_rate:.3g}{kept}",
        changes={"learning_rate": [old, found.learning_rate]},
        evidence=found.evidence,
        done=used,
    )
    if not used:
        return state
    by = f"sitter:{_RATE_TEST}" if sitter_of(panda).options.mode == "act" else _RATE_TEST
    return change(state, panda, {"learning_rate": found.learning_rate}, by=by)


def record_epoch(
    row: Mapping[str, Any], state: PandaState, panda: Panda
) -> tuple[PandaState, bool]:
    """Report an epoch just trained, have the sitter judge it, end the day where it is over.

    Returns the state after it, and whether the model is no longer the one that the epoch left, or has ended.
    """
    panda.progress.rows.append({**row, "stretch": state.segment})
    state = state.after_epoch(row["seconds"], panda.model.steps_per_epoch)
    state = _save_if_best(row, state, panda)
    rate = panda.model.hyperparameters.get("learning_rate")
    memory, findings = sitter_of(panda).after_epoch(state.monitor, row["metrics"], rate)
    state, moved = monitor(findings, replace(state, monitor=memory), panda)
    if moved:
        return state, True
    if not finite(row["metrics"].get("loss", 0.0)):
        text = "the loss is not finite and no sitter may act: it ends"
        return note(replace(state, ending="diverged"), panda, "verdict", text=text), True
    today = (state.epochs_today, state.seconds_today, state.steps_today)
    return end_day(row, state, panda) if panda.nursery.day.reached(*today) else (state, False)


def end_day(row: Mapping[str, Any], state: PandaState, panda: Panda) -> tuple[PandaState, bool]:
    """Close the day: its checkpoint, its line in the journal, what changes did, the sitter's look.

    Returns what ``record_epoch`` does.
    """
    seconds, metrics, sitter = state.seconds_today, dict(row["metrics"]), sitter_of(panda)
    state = state.next_day(panda.model.epoch, metrics)
    memory, findings = sitter.after_day(state.monitor, _day_record(state, panda, metrics))
    state = replace(state, monitor=memory)
    # The file before the line that names it: a rollback to a day of the journal finds its state.
    size = panda.days.save(state.day, checkpoint(state, panda))
    panda.days.save_best(state.day, panda.best_file)
    file = panda.days.file(state.day).relative_to(panda.objective.checkpoints.parent)
    state = note(
        state,
        panda,
        "day",
        metrics=metrics,
        hyperparameters=chosen(state, panda),
        checkpoint=str(file),
        bytes=size,
        seconds=seconds,
    )
    state = report_effects(metrics, state, panda)
    state, moved = monitor(findings, state, panda)
    # Last: the sitter may just have gone back to one of them.
    panda.days.prune(state.day, sitter.needed_days(state.monitor))
    return state, moved


def report_effects(metrics: Mapping[str, Any], state: PandaState, panda: Panda) -> PandaState:
    """Journal what the changes before this day did."""
    for effect in state.effects:
        state = note(state, panda, "effect", **effect, after=metrics.get(effect["metric"]))
    return replace(state, effects=())


def monitor(
    findings: Sequence[Finding], state: PandaState, panda: Panda
) -> tuple[PandaState, bool]:
    """Journal what the sitter found and, where it may act, do it, up to what moves the model elsewhere.

    Returns what ``record_epoch`` does.
    """
    for finding in findings:
        done = sitter_of(panda).options.mode == "act" and finding.action != "none"
        current = panda.model.hyperparameters
        state = note(
            state,
            panda,
            "advice",
            rule=finding.rule,
            suggests=finding.text,
            changes={name: [current.get(name), value] for name, value in finding.changes.items()},
            evidence=finding.evidence,
            done=done,
        )
        state, moved = _act(finding, state, panda) if done else (state, False)
        if moved:  # what else was found is of a model that is no longer there
            return state, True
    return state, False


def rollback_by_monitor(state: PandaState, panda: Panda, day: int, by: str) -> PandaState:
    """Return to a day's end on the sitter's own account: what it has spent stays spent."""
    spent = state.monitor
    state = rollback(state, panda, {"to_day": day}, by=by)
    return replace(state, monitor=after_own_rollback(spent, state.monitor))


def train_epoch(model: LiveModel) -> dict[str, Any]:
    """Train an epoch chunk by chunk and return its row. Raises TrialError where training ended before its end."""
    row = None
    while row is None:
        row = model.train_chunk()
        if model.ended:
            raise TrialError(f"epoch {model.epoch + 1}: none was trained, since {model.ended}.")
    return row


def lr_probe(finding: Finding, panda: Panda) -> tuple[Kept, Epochs]:
    """Train for a few epochs at each of the finding's learning rates, from one state and over the same batches.

    Returns which is the best by paired validation loss, and its epochs. The model is put back as it was.
    """
    changes = [{"learning_rate": rate} for rate in finding.candidates]
    found = panda.model.tried(changes, finding.epochs)
    tried = dict(zip(finding.evidence["factors"], found, strict=True))
    kept = keep_best({factor: each.losses for factor, each in tried.items()})
    return kept, tried[kept.factor].epochs


def _branch_and_compare(finding: Finding, state: PandaState, panda: Panda) -> PandaState:
    """Probe learning rates; the best one's epochs become the panda's, the others' losses the journal's evidence."""
    by = f"sitter:{finding.rule}"
    if finding.to_day is not None:
        state = rollback_by_monitor(state, panda, finding.to_day, by)
    kept, epochs = lr_probe(finding, panda)
    rates = dict(zip(finding.evidence["factors"], finding.candidates, strict=True))
    changes = {"learning_rate": rates[kept.factor]}
    facts = {"action": "branch_and_compare", "evidence": kept.evidence}
    state = change(state, panda, changes, by=by, **facts)
    for row, after in epochs:
        panda.model.resume(after)
        state, moved = record_epoch(row, state, panda)
        if moved:
            break
    return state


def _act(finding: Finding, state: PandaState, panda: Panda) -> tuple[PandaState, bool]:
    by = f"sitter:{finding.rule}"
    if finding.action == "stop":
        facts = {"rule": finding.rule, "text": finding.verdict or finding.text}
        return note(replace(state, ending="stopped"), panda, "verdict", **facts), True
    if finding.action == "branch_and_compare":
        return _branch_and_compare(finding, state, panda), True
    try:
        state = rollback_by_monitor(state, panda, int(finding.to_day or 0), by)
    except (RecordError, RequestError) as error:  # that day's end is not kept
        refused = {"action": "rollback", "reason": str(error)}
        return note(state, panda, "refused", request=None, **refused), False
    if finding.changes:
        state = change(state, panda, finding.changes, by=by)
    return state, True


def _note_fixed_rate(state: PandaState, panda: Panda) -> PandaState:
    """Say once that the model's learning rate is its builder's own affair, where the panda relies on it."""
    fixed, nursery = panda.model.why_rate_is_fixed, panda.nursery
    if fixed is None or not (nursery.sitter.mode == "act" or nursery.learning_rate_test):
        return state
    said = f"the sitter only advises, and no learning rate is tried: {fixed}"
    facts = {"suggests": said, "changes": {}, "evidence": {}}
    return note(state, panda, "advice", rule="learning_rate", **facts)


def _day_record(state: PandaState, panda: Panda, metrics: Mapping[str, Any]) -> DayRecord:
    model = panda.model
    return DayRecord(state.day, model.epoch, metrics, dict(model.hyperparameters))


def _save_if_best(row: Mapping[str, Any], state: PandaState, panda: Panda) -> PandaState:
    score = score_of(row, panda.objective.metric, panda.objective.mode)
    if score is None or not score.beats(state.best):
        return state
    about = {"trial": panda.trial, "chosen": chosen(state, panda), **row}
    save_checkpoint(panda.best_file, panda.model.checkpoint(about))
    return replace(state, best=score)
