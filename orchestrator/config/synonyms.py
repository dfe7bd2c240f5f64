"""What other tools call our keys: a word that is no key here, and where what it means is written."""

from __future__ import annotations

_DRAWN_AT_RANDOM = "Leave it out: trials are drawn at random from search_space."
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
    "sampler searcher search_alg search_algorithm algorithm algo tuner suggest tpe": _DRAWN_AT_RANDOM,
    "loss loss_function loss_fn criterion": _LOSS,
}


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
    """Return a word as it is told apart: ``batchSize``, ``batch-size`` and ``batch_size`` are one."""
    return "".join(sign for sign in word.lower() if sign.isalnum())
