"""Models with a fit() of their own: callbacks, class weights."""

import keras
from keras import layers


class _Net(keras.Model):
    extra = {}

    def fit(self, *arguments, callbacks=None, **options):
        return super().fit(
            *arguments, callbacks=[*(callbacks or []), *self.mine()], **self.extra, **options
        )

    def mine(self):
        return []


def _build(kind, hp, input_shape, num_classes):
    inputs = keras.Input(input_shape)
    x = layers.Dense(hp["units"], activation="relu")(inputs)
    model = kind(inputs, layers.Dense(num_classes, activation="softmax")(x))
    model.compile(
        keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


@keras.saving.register_keras_serializable("parity")
class Scheduled(_Net):
    """Halves its rate each epoch."""

    def mine(self):
        return [keras.callbacks.LearningRateScheduler(lambda epoch: 0.2 * 0.5**epoch)]


def scheduled(hp, input_shape, num_classes):
    return _build(Scheduled, hp, input_shape, num_classes)


@keras.saving.register_keras_serializable("parity")
class Weighted(_Net):
    extra = {"class_weight": {0: 1.0, 1: 5.0, 2: 1.0}}


def weighted(hp, input_shape, num_classes):
    return _build(Weighted, hp, input_shape, num_classes)


@keras.saving.register_keras_serializable("parity")
class Patient(_Net):
    """Lowers its rate when the validation loss stands still: it must have seen the epochs before."""

    def mine(self):
        return [
            keras.callbacks.ReduceLROnPlateau(
                "val_loss", 0.1, patience=1, min_delta=10.0, verbose=0
            )
        ]


def patient(hp, input_shape, num_classes):
    return _build(Patient, hp, input_shape, num_classes)


class Counter(keras.callbacks.Callback):
    """Counts epochs and batches, and says so in the logs."""

    def on_train_begin(self, logs=None):
        self.epochs = self.batches = 0

    def on_train_batch_end(self, batch, logs=None):
        self.batches += 1

    def on_epoch_end(self, epoch, logs=None):
        self.epochs += 1
        logs["epochs_seen"], logs["batches_seen"] = float(self.epochs), float(self.batches)
        logs["numbered"] = float(epoch)


@keras.saving.register_keras_serializable("parity")
class Counted(_Net):
    def mine(self):
        return [Counter()]


def counted(hp, input_shape, num_classes):
    return _build(Counted, hp, input_shape, num_classes)


@keras.saving.register_keras_serializable("parity")
class OwnLoop(keras.Model):
    """A fit() and a training function of its own that do what Keras does."""

    def make_train_function(self, force=False):
        return super().make_train_function(force)

    def fit(self, *arguments, **options):
        return super().fit(*arguments, **options)


def own_loop(hp, input_shape, num_classes):
    return _build(OwnLoop, hp, input_shape, num_classes)


def averaged(hp, input_shape, num_classes):
    """An average of the weights, by a fit() of its own."""
    model = _build(OwnLoop, hp, input_shape, num_classes)
    rule = keras.optimizers.Adam(0.02, use_ema=True, ema_momentum=0.8)
    model.compile(rule, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@keras.saving.register_keras_serializable("parity")
class Swapped(_Net):
    """Validates by the averages of its weights."""

    def mine(self):
        return [keras.callbacks.SwapEMAWeights()]


def swapped(hp, input_shape, num_classes):
    model = _build(Swapped, hp, input_shape, num_classes)
    rule = keras.optimizers.Adam(0.02, use_ema=True, ema_momentum=0.8)
    model.compile(rule, "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def plain(hp, input_shape, num_classes):
    return _build(keras.Model, hp, input_shape, num_classes)


def callbacks(hp):
    """What an experiment names as its callbacks: made anew for each trial."""
    return [
        Counter(),
        keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate * 0.5),
        keras.callbacks.TerminateOnNaN(),
    ]
