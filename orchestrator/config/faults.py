"""What pydantic found wrong, in the house's sentences, with the line of the file; other tools' words for our keys."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from orchestrator.config.document import Document, KeyPath, dotted
from orchestrator.config.schema import keys_of, lists, sections
from orchestrator.domains.values import shown
from orchestrator.errors import explain, near_miss

MOST_SENTENCES = 50
NEARLY = 0.85
"""How alike two words are that differ by a slip of the pen."""
_EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "string_type": "a text (in quotes if it looks like something else)",
    "string_too_short": "a text that is not empty",
    "string_too_long": "at most {max_length} characters",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "literal_error": "{expected}",
    "dict_type": "a mapping",
    "tuple_type": "a list",
    "too_short": "at least {min_length} of them",
    "model_type": "a mapping of options",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
}
_LOSS = "Leave it out: the loss follows from the task, or is the one that the model's builder compiles it with."
_WORDS: dict[str, str] = {
    "caviar.num_samples": "num_trials n_trials max_trials trials samples n_samples n_iter num_iter max_evals n_calls"
    " num_runs run_cap max_num_trials trial_count",
    "caviar.max_concurrent_trials": "n_jobs num_jobs parallel parallelism workers num_workers max_workers concurrency"
    " max_concurrent concurrent_trials trial_concurrency",
    "caviar.scheduler": "early_stopping early_stop early_terminate pruner pruning stopper asha hyperband median"
    " successive_halving",
    "epochs": "epoch num_epochs n_epochs nb_epochs max_epochs max_epoch max_t training_epochs train_epochs",
    "metric": "objective objective_metric monitor score scoring target_metric optimize eval_metric",
    "mode": "direction directions goal maximize minimize",
    "seed": "random_state random_seed rng rng_seed",
    "search_space": "space parameters params param param_space param_distributions hyperparameters hyperparams"
    " hyperparameter hparams hp parameter_space",
    "model": "hypermodel model_fn build_model model_builder builder build estimator network net architecture",
    "data": "dataset datasets dataset_name input",
    "data.source": "path file filename data_path data_file source",
    "data.label": "target_column label_column y",
    "data.validation": "validation_split validation_size val_split val_size validation_fraction",
    "data.test": "test_split test_size test_fraction",
    "data.scale": "scaler scaling normalize standardize",
    "limits.max_run_time": "timeout time_budget time_budget_s max_time max_duration max_experiment_duration budget",
    "limits.max_trial_time": "trial_timeout max_trial_duration",
    "limits.max_failed_trials": "max_failed_trial_count max_consecutive_failed_trials fail_fast",
    "resources.cpu": "cpus num_cpus cores cpus_per_trial",
    "resources.gpu": "gpus num_gpus gpus_per_trial accelerator",
    "retries.times": "max_failures max_retries max_retries_per_trial retry",
    "storage_path": "output output_dir out_dir local_dir directory dir storage log_dir save_dir results_dir",
    "name": "experiment experiment_name project project_name study study_name run_name",
    "keep_checkpoints": "num_to_keep keep_checkpoints_num checkpoints",
    "checkpoint_every": "checkpoint_frequency checkpoint_freq save_freq",
    "strategy": "method search_method",
    "caviar.searcher": "sampler searcher search_alg search_algorithm algorithm algo tuner suggest tpe gp bayesian",
}
_HYPERPARAMETERS: dict[str, str] = {
    "learning_rate": "lr learning_rate alpha step_size",
    "batch_size": "batch bs batch_size mini_batch_size train_batch_size",
    "optimizer": "optimizer opt optim",
    "momentum": "momentum",
    "beta_1": "beta_1",
    "beta_2": "beta_2",
    "epsilon": "epsilon eps",
    "weight_decay": "weight_decay wd",
    "label_smoothing": "label_smoothing",
    "learning_rate_decay": "learning_rate_decay lr_decay decay",
    "decay_schedule": "decay_schedule lr_schedule lr_scheduler learning_rate_schedule",
    "dropout": "dropout dropout_rate drop_rate",
    "units": "units hidden_units neurons num_units hidden_size hidden_dim",
    "hidden_layers": "hidden_layers layers num_layers n_layers num_hidden_layers depth",
    "filters": "filters num_filters",
    "activation": "activation activations",
    "batch_norm_momentum": "batch_norm_momentum bn_momentum",
}
_OF_PANDAS: dict[str, str] = {
    "panda.days": "epochs epoch num_epochs n_epochs max_epochs",
    "panda.start": "hyperparameters params parameters hparams",
    "panda.sitter": "early_stopping early_stop pruner",
    "panda.sitter.patience": "patience",
    "panda.learning_rate_test": "lr_find lr_finder lr_range_test range_test find_lr",
}
_ADVICE: dict[str, str] = {
    "loss loss_function loss_fn criterion": _LOSS,
}


def sentences(error: ValidationError, document: Document) -> list[str]:
    """Return one sentence for each key that is wrong, in the order of the experiment's fields."""
    grouped: dict[KeyPath, list[ErrorDetails]] = {}
    for details in error.errors(include_url=False):
        grouped.setdefault(_path(details, document.content), []).append(details)
    said = [
        _sentence(path, found, document) for path, found in islice(grouped.items(), MOST_SENTENCES)
    ]
    more = len(grouped) - len(said)
    return [*said, f"{document.path}: {more} more keys are wrong."] if more else said


def _path(details: ErrorDetails, content: Mapping[str, Any]) -> KeyPath:
    """Return the key path in the file, without the marks that pydantic adds for unions."""
    ctx = details.get("ctx", {})
    if "path" in ctx:
        return tuple(ctx["path"])
    path: list[str | int] = []
    inside: Any = content
    for part in details["loc"]:
        listed = isinstance(inside, list | tuple) and isinstance(part, int) and part < len(inside)
        if listed or (isinstance(inside, Mapping) and part in inside):
            inside = inside[part]
            path.append(part)
    if details["type"] == "missing" and isinstance(inside, Mapping):
        path.append(details["loc"][-1])
    return tuple(path)


def _sentence(path: KeyPath, found: list[ErrorDetails], document: Document) -> str:
    first, where = found[0], document.where(path)
    ctx = first.get("ctx", {})
    if first["type"] == "extra_forbidden":
        return _unknown_key(path, where, document.content.get("strategy") == "panda")
    if first["type"] == "missing":
        return explain(where, f"expected {_description(path)}", "nothing")
    if first["type"] == "unknown_name":
        return explain(where, first["msg"], shown(ctx["name"]), ctx["known"])
    received = ctx.get("received", first["input"])
    if all(details["type"] in _EXPECTED for details in found):
        expected = "expected " + " or ".join(dict.fromkeys(_expected(found)))
        return explain(where, expected, shown(received))
    return explain(where, first["msg"], shown(received))


def _expected(found: list[ErrorDetails]) -> Iterator[str]:
    for details in found:
        yield _EXPECTED[details["type"]].format(**details.get("ctx", {}))


def _unknown_key(path: KeyPath, where: str, babysat: bool) -> str:
    """Return what to write: first as for a slip of the pen, then for another tool's word, then for another section."""
    key = str(path[-1])
    section = _section(path[:-1])
    known = keys_of(section) if section else ()
    # Targets share words with one another and with the rest.
    if _nearly(key, known) or path[0] == "target":
        return explain(where, "unknown key", key, known)
    instead = way_out(key, babysat)
    if instead:
        return f"{explain(where, 'unknown key', key)} {instead}"
    of_items = (
        lists()
    )  # nobody who writes ``set`` or ``epoch`` elsewhere means an item of panda.schedule
    others = {
        place: keys_of(model)
        for place, model in sections().items()
        if place[:1] != ("target",) and place not in of_items
    }
    homes = [place for place, keys in others.items() if key in keys]
    if homes:
        home = dotted(homes[0]) or "the top level"
        return explain(where, f"unknown key here; it belongs to {home}", key)
    meant = [
        dotted((*place, near)) for place, keys in others.items() for near in _nearly(key, keys)
    ]
    if meant and not near_miss(key, known):
        return f"{explain(where, 'unknown key', key)} Did you mean {meant[0]!r}?"
    return explain(where, "unknown key", key, known)


def _nearly(key: str, known: Iterable[str]) -> list[str]:
    """Return the known key that differs by a slip of the pen: a letter left out, its case, a dash."""
    return difflib.get_close_matches(key.lower(), list(known), n=1, cutoff=NEARLY)


def _description(path: KeyPath) -> str:
    section = _section(path[:-1])
    described = section.model_fields[str(path[-1])].description if section else None
    text = (described or "a value").partition(". ")[0].rstrip(".").replace("`", "")
    return text[0].lower() + text[1:]


def _section(path: KeyPath) -> type[BaseModel] | None:
    """Return the options at ``path``; every item of a list has the same ones."""
    return sections().get(tuple(part for part in path if isinstance(part, str)))


def way_out(word: str, babysat: bool) -> str:
    """Return a sentence that says what to write in place of a word that is no key; empty where nobody calls it so."""
    plain = _plain(word)
    advice = next((said for words, said in _ADVICE.items() if plain in _all(words)), "")
    if advice:
        return advice
    place = _place(plain, babysat)
    if not place:
        return ""
    example = " (max or min)" if place == "mode" else ""
    return f"Write {place} instead{example}."


def _place(plain: str, babysat: bool) -> str:
    if babysat:
        found = _found(plain, _OF_PANDAS)
        if found:
            return found
    elif plain == "patience":
        return "caviar.scheduler"
    name = _found(plain, _HYPERPARAMETERS)
    if name:
        return f"panda.start.{name}" if babysat else f"search_space.{name}"
    return _found(plain, _WORDS)


def _found(plain: str, table: dict[str, str]) -> str:
    return next((place for place, words in table.items() if plain in _all(words)), "")


def _all(words: str) -> list[str]:
    return [_plain(word) for word in words.split()]


def _plain(word: str) -> str:
    """Return a word without case and punctuation: ``batchSize``, ``batch-size`` and ``batch_size`` are the same."""
    return "".join(letter for letter in word.lower() if letter.isalnum())
