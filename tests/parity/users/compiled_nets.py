"""Models that their builders compile: losses, metrics and optimizers of every kind."""

import keras
from keras import layers, losses, metrics, ops, optimizers


def _net(hp, input_shape, units, activation=None):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Dense(hp["units"], activation="relu"),
            layers.Dense(units, activation=activation),
        ]
    )


def by_names(hp, input_shape, num_classes):
    model = _net(hp, input_shape, 3, "softmax")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def one_hot(hp, input_shape, num_classes):
    model = _net(hp, input_shape, 3, "softmax")
    model.compile(
        optimizers.Adam(0.01),
        losses.CategoricalCrossentropy(label_smoothing=0.1),
        metrics=[
            "accuracy",
            metrics.AUC(),
            metrics.Precision(),
            metrics.Recall(class_id=1, name="recall_of_bees"),
            metrics.F1Score(average="macro"),
            metrics.TopKCategoricalAccuracy(2),
            metrics.CategoricalCrossentropy(),
        ],
    )
    return model


@keras.saving.register_keras_serializable("parity")
def focal(y_true, y_pred):
    y_pred = ops.clip(y_pred, 1e-7, 1.0)
    return ops.sum(-y_true * (1 - y_pred) ** 2 * ops.log(y_pred), axis=-1)


def own_loss(hp, input_shape, num_classes):
    model = _net(hp, input_shape, 3, "softmax")
    model.compile(optimizers.SGD(0.1, momentum=0.9), focal, metrics=["categorical_accuracy"])
    return model


@keras.saving.register_keras_serializable("parity")
class Quantile(keras.losses.Loss):
    def __init__(self, quantile=0.8, **options):
        super().__init__(**options)
        self.quantile = quantile

    def call(self, y_true, y_pred):
        error = y_true - y_pred
        return ops.mean(ops.maximum(self.quantile * error, (self.quantile - 1) * error), axis=-1)

    def get_config(self):
        return {**super().get_config(), "quantile": self.quantile}


def quantile(hp, input_shape, num_classes):
    model = _net(hp, input_shape, 1)
    model.compile(optimizers.Adam(0.01), Quantile(hp["quantile"]), metrics=["mae", "mse"])
    return model


@keras.saving.register_keras_serializable("parity")
class F1(keras.metrics.Metric):
    def __init__(self, name="f1", **options):
        super().__init__(name=name, **options)
        self.tp, self.fp, self.fn = (
            self.add_weight(name=n, initializer="zeros") for n in ("tp", "fp", "fn")
        )

    def update_state(self, y_true, y_pred, sample_weight=None):
        t, p = ops.cast(y_true, "float32"), ops.round(y_pred)
        self.tp.assign_add(ops.sum(t * p))
        self.fp.assign_add(ops.sum((1 - t) * p))
        self.fn.assign_add(ops.sum(t * (1 - p)))

    def result(self):
        return 2 * self.tp / (2 * self.tp + self.fp + self.fn + 1e-7)


@keras.saving.register_keras_serializable("parity")
def share_of_ones(y_true, y_pred):
    return ops.mean(ops.cast(y_pred > 0.5, "float32"), axis=-1)


def sigmoid(hp, input_shape, num_classes):
    model = _net(hp, input_shape, 1, "sigmoid")
    model.compile(
        optimizers.Adam(0.01),
        "binary_crossentropy",
        metrics=["accuracy", "AUC", F1(), share_of_ones, metrics.Precision(), metrics.Recall()],
        weighted_metrics=[metrics.BinaryAccuracy(name="weighted")],
    )
    return model


def logits(hp, input_shape, num_classes):
    model = _net(hp, input_shape, 1)
    model.compile(
        optimizers.Adam(0.01),
        losses.BinaryFocalCrossentropy(from_logits=True),
        metrics=[metrics.BinaryAccuracy(threshold=0.0), metrics.AUC(from_logits=True, curve="PR")],
    )
    return model


def hinge(hp, input_shape, num_classes):
    model = _net(hp, input_shape, 1, "tanh")
    model.compile(optimizers.SGD(0.05), "squared_hinge", metrics=["hinge", "cosine_similarity"])
    return model


def multilabel(hp, input_shape, num_classes):
    model = _net(hp, input_shape, 4, "sigmoid")
    model.compile(
        optimizers.RMSprop(0.01),
        "binary_crossentropy",
        metrics=[
            metrics.AUC(multi_label=True),
            metrics.F1Score(average="micro", threshold=0.5),
            metrics.BinaryIoU([1]),
        ],
    )
    return model


def regression(hp, input_shape, num_classes):
    model = _net(hp, input_shape, 1)
    model.compile(
        optimizers.Adam(hp["learning_rate"]),
        "mse",
        metrics=["mae", metrics.RootMeanSquaredError(), metrics.R2Score()],
    )
    return model


def mean_and_size(hp, input_shape, num_classes):
    """For whole numbers of one dimension, where R² has no shape to go by."""
    model = _net(hp, input_shape, 1)
    model.compile(optimizers.Adam(0.01), "mse", metrics=["mae"])
    return model


def huber(hp, input_shape, num_classes):
    model = _net(hp, input_shape, 2)
    model.compile(
        optimizers.Adam(0.02), losses.Huber(0.5), metrics=["mae", metrics.LogCoshError(), "msle"]
    )
    return model


def poisson(hp, input_shape, num_classes):
    model = _net(hp, input_shape, 1, "exponential")
    model.compile(optimizers.Adam(0.01), "poisson", metrics=["mae", "poisson"])
    return model


def divergence(hp, input_shape, num_classes):
    model = _net(hp, input_shape, 3, "softmax")
    model.compile(
        optimizers.Adam(0.01), "kl_divergence", metrics=[metrics.KLDivergence(), "accuracy"]
    )
    return model


def autoencoder(hp, input_shape, num_classes):
    model = _net(hp, input_shape, input_shape[-1])
    model.compile(optimizers.Adam(0.01), losses.LogCosh(), metrics=["mae"])
    return model


RULES = {
    "nadam": lambda: optimizers.Nadam(0.01),
    "adagrad": lambda: optimizers.Adagrad(0.1),
    "adadelta": lambda: optimizers.Adadelta(1.0),
    "adamax": lambda: optimizers.Adamax(0.01),
    "ftrl": lambda: optimizers.Ftrl(0.1, l1_regularization_strength=1e-3),
    "lion": lambda: optimizers.Lion(0.003),
    "adafactor": lambda: optimizers.Adafactor(0.05),
    "lamb": lambda: optimizers.Lamb(0.02),
    "muon": lambda: optimizers.Muon(0.01),
    "nesterov": lambda: optimizers.SGD(0.05, momentum=0.9, nesterov=True, clipvalue=0.1),
    "centered": lambda: optimizers.RMSprop(0.01, centered=True, momentum=0.5),
    "amsgrad": lambda: optimizers.Adam(0.01, amsgrad=True, global_clipnorm=0.5),
    "clipnorm": lambda: optimizers.Adam(0.02, clipnorm=0.1, weight_decay=0.01),
    "decoupled": lambda: _decoupled(),
    "accumulating": lambda: optimizers.Adam(0.02, gradient_accumulation_steps=3),
    "averaging": lambda: optimizers.Adam(0.02, use_ema=True, ema_momentum=0.8),
    "overwriting": lambda: optimizers.SGD(
        0.1, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=4
    ),
    "scaled": lambda: optimizers.LossScaleOptimizer(
        optimizers.Adam(0.02), initial_scale=1024.0, dynamic_growth_steps=3
    ),
    "exponential": lambda: optimizers.Adam(
        optimizers.schedules.ExponentialDecay(0.05, 4, 0.5, staircase=True)
    ),
    "cosine": lambda: optimizers.SGD(
        optimizers.schedules.CosineDecay(0.0, 12, warmup_target=0.2, warmup_steps=4), momentum=0.9
    ),
    "pieces": lambda: optimizers.SGD(
        optimizers.schedules.PiecewiseConstantDecay([5, 9], [0.2, 0.05, 0.01])
    ),
    "restarts": lambda: optimizers.Nadam(optimizers.schedules.CosineDecayRestarts(0.02, 5)),
}


def _decoupled():
    rule = optimizers.AdamW(0.01, weight_decay=0.1)
    rule.exclude_from_weight_decay(var_names=["bias"])
    return rule


def ruled(hp, input_shape, num_classes):
    model = _net(hp, input_shape, 3, "softmax")
    model.compile(RULES[hp["rule"]](), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def in_steps_of_three(hp, input_shape, num_classes):
    model = _net(hp, input_shape, 3, "softmax")
    model.compile(
        "adam", "sparse_categorical_crossentropy", metrics=["accuracy"], steps_per_execution=3
    )
    return model


def eager(hp, input_shape, num_classes):
    model = _net(hp, input_shape, 3, "softmax")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], run_eagerly=True)
    return model


def xla(hp, input_shape, num_classes):
    model = _net(hp, input_shape, 3, "softmax")
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=True)
    return model


def named_outputs(hp, input_shape, num_classes):
    shape = input_shape if isinstance(input_shape, tuple) else input_shape["numbers"]
    inputs = keras.Input(shape, name="numbers")
    hidden = layers.Dense(hp["units"], activation="relu")(inputs)
    outputs = {
        "kind": layers.Dense(3, activation="softmax", name="kind")(hidden),
        "size": layers.Dense(1, name="size")(hidden),
    }
    model = keras.Model(inputs, outputs)
    model.compile(
        optimizers.Adam(0.01),
        loss={"kind": "sparse_categorical_crossentropy", "size": "mse"},
        loss_weights={"kind": 1.0, "size": 0.3},
        metrics={"kind": ["accuracy"], "size": ["mae"]},
    )
    return model


def listed_outputs(hp, input_shape, num_classes):
    inputs = keras.Input(input_shape)
    hidden = layers.Dense(hp["units"], activation="relu")(inputs)
    outputs = [layers.Dense(3, activation="softmax")(hidden), layers.Dense(1, "sigmoid")(hidden)]
    model = keras.Model(inputs, outputs)
    model.compile(
        optimizers.Adam(0.01),
        loss=["categorical_crossentropy", "binary_crossentropy"],
        metrics=[["accuracy"], ["accuracy", "AUC"]],
    )
    return model


def inputs_and_outputs(hp, input_shape, num_classes):
    numbers = keras.Input(input_shape["numbers"], name="numbers")
    picture = keras.Input(input_shape["picture"], name="picture")
    seen = layers.GlobalMaxPooling2D()(layers.Conv2D(4, 3, activation="relu")(picture))
    hidden = layers.Concatenate()([layers.Dense(hp["units"], activation="relu")(numbers), seen])
    outputs = {
        "kind": layers.Dense(3, activation="softmax", name="kind")(hidden),
        "size": layers.Dense(1, name="size")(hidden),
    }
    model = keras.Model({"numbers": numbers, "picture": picture}, outputs)
    model.compile(
        "adam",
        loss={"kind": "sparse_categorical_crossentropy", "size": "mae"},
        metrics={"kind": "accuracy"},
    )
    return model
