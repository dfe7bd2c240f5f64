"""Models with steps, losses and metrics of their own, as in Keras's guides."""

import keras
import tensorflow as tf
from keras import layers, ops


def _body(hp, input_shape):
    inputs = keras.Input(input_shape)
    return inputs, layers.Dense(hp["units"], activation="relu")(inputs)


@keras.saving.register_keras_serializable("parity")
class ByTape(keras.Model):
    def train_step(self, data):
        x, y = data
        with tf.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compute_loss(x=x, y=y, y_pred=y_pred)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables))
        for metric in self.metrics:
            metric.update_state(loss) if metric.name == "loss" else metric.update_state(y, y_pred)
        return {metric.name: metric.result() for metric in self.metrics}


def by_tape(hp, input_shape, num_classes):
    inputs, x = _body(hp, input_shape)
    return ByTape(inputs, layers.Dense(num_classes, activation="softmax")(x))


@keras.saving.register_keras_serializable("parity")
class Penalised(keras.Model):
    """A loss of its own, beside what compile() gives."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        return loss + 0.1 * ops.mean(ops.square(y_pred))


def penalised(hp, input_shape, num_classes):
    inputs, x = _body(hp, input_shape)
    return Penalised(inputs, layers.Dense(num_classes, activation="softmax")(x))


@keras.saving.register_keras_serializable("parity")
class Sampling(layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.seed_generator = keras.random.SeedGenerator(1337)

    def call(self, inputs):
        mean, log_var = inputs
        noise = keras.random.normal(ops.shape(mean), seed=self.seed_generator)
        return mean + ops.exp(0.5 * log_var) * noise


class Variational(keras.Model):
    """Keras's example of a variational autoencoder, with its trackers."""

    def __init__(self, units, features, **options):
        super().__init__(**options)
        self.hidden = layers.Dense(units, activation="relu")
        self.mean, self.log_var = layers.Dense(2), layers.Dense(2)
        self.sampling = Sampling()
        self.decoder = keras.Sequential([layers.Dense(units, "relu"), layers.Dense(features)])
        self.total_tracker = keras.metrics.Mean(name="total")
        self.kl_tracker = keras.metrics.Mean(name="kl")

    @property
    def metrics(self):
        return [self.total_tracker, self.kl_tracker]

    def call(self, x):
        hidden = self.hidden(x)
        return self.decoder(self.sampling([self.mean(hidden), self.log_var(hidden)]))

    def _both(self, x):
        hidden = self.hidden(x)
        mean, log_var = self.mean(hidden), self.log_var(hidden)
        restored = self.decoder(self.sampling([mean, log_var]))
        kl = ops.mean(-0.5 * (1 + log_var - ops.square(mean) - ops.exp(log_var)))
        return ops.mean(ops.square(restored - x)) + kl, kl

    def train_step(self, data):
        x, _ = data
        with tf.GradientTape() as tape:
            total, kl = self._both(x)
        weights = self.trainable_weights
        self.optimizer.apply(tape.gradient(total, weights), weights)
        self.total_tracker.update_state(total)
        self.kl_tracker.update_state(kl)
        return {"total": self.total_tracker.result(), "kl": self.kl_tracker.result()}

    def test_step(self, data):
        total, kl = self._both(data[0])
        self.total_tracker.update_state(total)
        self.kl_tracker.update_state(kl)
        return {"total": self.total_tracker.result(), "kl": self.kl_tracker.result()}


def variational(hp, input_shape, num_classes):
    model = Variational(hp["units"], input_shape[0])
    model.compile(keras.optimizers.Adam(0.01))
    return model


class Adversarial(keras.Model):
    """Two nets and two optimizers, one of them beside Keras's own."""

    def __init__(self, units, features):
        super().__init__()
        self.features = features
        self.critic = keras.Sequential(
            [keras.Input((features,)), layers.Dense(units, activation="relu"), layers.Dense(1)]
        )
        self.maker = keras.Sequential(
            [keras.Input((3,)), layers.Dense(units, activation="relu"), layers.Dense(features)]
        )
        self.noise = keras.random.SeedGenerator(5)
        self.critic_tracker = keras.metrics.Mean(name="critic_loss")
        self.maker_tracker = keras.metrics.Mean(name="maker_loss")
        self.built = True

    @property
    def metrics(self):
        return [self.critic_tracker, self.maker_tracker]

    def compile(self, critic_optimizer, maker_optimizer, loss_fn):
        super().compile()
        self.critic_optimizer, self.maker_optimizer = critic_optimizer, maker_optimizer
        self.loss_fn = loss_fn

    def call(self, x):
        return self.critic(x)

    def train_step(self, data):
        real = data[0]
        rows = ops.shape(real)[0]
        made = self.maker(keras.random.normal((rows, 3), seed=self.noise))
        both = ops.concatenate([made, real], axis=0)
        labels = ops.concatenate([ops.ones((rows, 1)), ops.zeros((rows, 1))], axis=0)
        with tf.GradientTape() as tape:
            critic_loss = self.loss_fn(labels, self.critic(both))
        weights = self.critic.trainable_weights
        self.critic_optimizer.apply(tape.gradient(critic_loss, weights), weights)
        noise = keras.random.normal((rows, 3), seed=self.noise)
        with tf.GradientTape() as tape:
            maker_loss = self.loss_fn(ops.zeros((rows, 1)), self.critic(self.maker(noise)))
        weights = self.maker.trainable_weights
        self.maker_optimizer.apply(tape.gradient(maker_loss, weights), weights)
        self.critic_tracker.update_state(critic_loss)
        self.maker_tracker.update_state(maker_loss)
        return {
            "critic_loss": self.critic_tracker.result(),
            "maker_loss": self.maker_tracker.result(),
        }

    def test_step(self, data):
        real = data[0]
        self.critic_tracker.update_state(
            self.loss_fn(ops.zeros((ops.shape(real)[0], 1)), self.critic(real))
        )
        return {"critic_loss": self.critic_tracker.result()}


def adversarial(hp, input_shape, num_classes):
    model = Adversarial(hp["units"], input_shape[0])
    model.compile(
        keras.optimizers.Adam(0.01),
        keras.optimizers.Adam(0.02),
        keras.losses.BinaryCrossentropy(from_logits=True),
    )
    return model


@keras.saving.register_keras_serializable("parity")
class Contrast(keras.Model):
    """A metric of its own in the model, told of each batch by the step."""

    def __init__(self, inputs, outputs, name=None, **kwargs):
        super().__init__(inputs, outputs, name=name, **kwargs)
        self.margin = keras.metrics.Mean(name="margin")

    def train_step(self, data):
        logs = super().train_step(data)
        self.margin.update_state(ops.max(self(data[0], training=False), axis=-1))
        return {**logs, "margin": self.margin.result()}

    def test_step(self, data):
        logs = super().test_step(data)
        self.margin.update_state(ops.max(self(data[0], training=False), axis=-1))
        return {**logs, "margin": self.margin.result()}


def contrast(hp, input_shape, num_classes):
    inputs, x = _body(hp, input_shape)
    model = Contrast(inputs, layers.Dense(num_classes, activation="softmax")(x))
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


@keras.saving.register_keras_serializable("parity")
class Distilled(keras.Model):
    """A teacher within, which stays as it is."""

    def __init__(self, student, teacher, **options):
        super().__init__(**options)
        self.student, self.teacher = student, teacher
        self.teacher.trainable = False

    def call(self, x, training=False):
        return self.student(x, training=training)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        hard = super().compute_loss(x, y, y_pred, sample_weight, training)
        soft = keras.losses.kl_divergence(self.teacher(x, training=False), y_pred)
        return 0.5 * hard + 0.5 * ops.mean(soft)

    def get_config(self):
        inner = {
            "student": keras.saving.serialize_keras_object(self.student),
            "teacher": keras.saving.serialize_keras_object(self.teacher),
        }
        return {**super().get_config(), **inner}

    @classmethod
    def from_config(cls, config):
        for name in ("student", "teacher"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        return cls(**config)


def distilled(hp, input_shape, num_classes):
    def net(units):
        inputs = keras.Input(input_shape)
        x = layers.Dense(units, activation="relu")(inputs)
        return keras.Model(inputs, layers.Dense(num_classes, activation="softmax")(x))

    model = Distilled(net(hp["units"]), net(16))
    model.compile(
        keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model
