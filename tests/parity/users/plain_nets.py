"""Ordinary models that leave compiling to the tuner."""

import keras
from keras import layers


def sequential(hp, input_shape, num_classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Dense(hp["units"], activation="relu"),
            layers.Dense(num_classes, activation="softmax"),
        ]
    )


def waits_for_data(hp, input_shape, num_classes):
    return keras.Sequential(
        [layers.Dense(hp["units"], activation="tanh"), layers.Dense(num_classes, "softmax")]
    )


def functional(hp, input_shape, num_classes):
    inputs = keras.Input(input_shape)
    left = layers.Dense(hp["units"], activation="gelu")(inputs)
    right = layers.Dense(hp["units"], activation="selu")(inputs)
    joined = layers.Concatenate()([left * right, layers.Add()([left, right])])
    return keras.Model(inputs, layers.Dense(num_classes, activation="softmax")(joined))


def logits(hp, input_shape, num_classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Dense(hp["units"], activation="relu"),
            layers.Dense(num_classes),
        ]
    )


def one_sigmoid(hp, input_shape, num_classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Dense(hp["units"], activation="relu"),
            layers.Dense(1, activation="sigmoid"),
        ]
    )


def one_unit(hp, input_shape, num_classes):
    return keras.Sequential(
        [keras.Input(input_shape), layers.Dense(hp["units"], activation="relu"), layers.Dense(1)]
    )


def one_positive(hp, input_shape, num_classes):
    return keras.Sequential(
        [keras.Input(input_shape), layers.Dense(hp["units"], "relu"), layers.Dense(1, "softplus")]
    )


def four_sigmoids(hp, input_shape, num_classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Dense(hp["units"], activation="relu"),
            layers.Dense(4, activation="sigmoid"),
        ]
    )


@keras.saving.register_keras_serializable("parity")
class Net(keras.Model):
    """Written as in Keras's own guide to subclassing."""

    def __init__(self, units, classes, **options):
        super().__init__(**options)
        self.units, self.classes = units, classes
        self.hidden = layers.Dense(units, activation="relu")
        self.drop = layers.Dropout(0.2)
        self.head = layers.Dense(classes, activation="softmax")

    def call(self, x, training=False):
        return self.head(self.drop(self.hidden(x), training=training))

    def get_config(self):
        return {**super().get_config(), "units": self.units, "classes": self.classes}


def subclassed(hp, input_shape, num_classes):
    return Net(hp["units"], num_classes)


class Unsaved(keras.Model):
    """Without get_config."""

    def __init__(self, units, classes):
        super().__init__()
        self.hidden = layers.Dense(units, activation="relu")
        self.head = layers.Dense(classes, activation="softmax")

    def call(self, x):
        return self.head(self.hidden(x))


def unsaved(hp, input_shape, num_classes):
    return Unsaved(hp["units"], num_classes)


def nested(hp, input_shape, num_classes):
    inner = keras.Sequential(
        [keras.Input(input_shape), layers.Dense(hp["units"], activation="relu")], name="inner"
    )
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, layers.Dense(num_classes, activation="softmax")(inner(inputs)))


def penalties(hp, input_shape, num_classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Dense(
                hp["units"],
                activation="relu",
                kernel_regularizer=keras.regularizers.L1L2(1e-3, 1e-2),
                bias_regularizer="l2",
                activity_regularizer=keras.regularizers.L2(1e-2),
                kernel_constraint=keras.constraints.MaxNorm(1.0),
            ),
            layers.ActivityRegularization(l1=1e-3),
            layers.Dense(
                num_classes,
                activation="softmax",
                kernel_constraint="unit_norm",
                kernel_regularizer=keras.regularizers.OrthogonalRegularizer(0.01),
            ),
        ]
    )


def other_layers(hp, input_shape, num_classes):
    inputs = keras.Input(input_shape)
    x = layers.Dense(2 * hp["units"])(inputs)
    x = layers.PReLU()(x)
    x = layers.Reshape((2, hp["units"]))(x)
    x = layers.Permute((2, 1))(x)
    x = layers.EinsumDense("abc,cd->abd", output_shape=(hp["units"], 3), bias_axes="d")(x)
    x = layers.LeakyReLU(0.1)(x)
    x = layers.Flatten()(x)
    x = layers.Concatenate()([layers.Maximum()([x, -x]), layers.Average()([x, x * 2])])
    x = layers.RepeatVector(2)(layers.Dense(4, activation="silu")(x))
    x = layers.GlobalAveragePooling1D()(layers.ELU()(x))
    return keras.Model(inputs, layers.Softmax()(layers.Dense(num_classes)(x)))


def own_dense(hp, input_shape, num_classes):
    class Scaled(layers.Layer):
        """A layer of one's own with weights, a state and a loss."""

        def __init__(self, units):
            super().__init__()
            self.units = units

        def build(self, shape):
            self.kernel = self.add_weight(shape=(shape[-1], self.units), initializer="he_normal")
            self.calls = self.add_weight(shape=(), initializer="zeros", trainable=False)

        def call(self, x, training=False):
            z = keras.ops.matmul(x, self.kernel)
            if training:
                self.calls.assign_add(1.0)
                self.add_loss(1e-2 * keras.ops.mean(keras.ops.square(z)))
            return z / (1.0 + 0.01 * self.calls)

    return keras.Sequential(
        [keras.Input(input_shape), Scaled(hp["units"]), layers.Dense(num_classes, "softmax")]
    )


def lora(hp, input_shape, num_classes):
    model = keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Dense(hp["units"], activation="relu"),
            layers.Dense(num_classes, activation="softmax"),
        ]
    )
    model.layers[0].enable_lora(2)
    return model


def with_lambda(hp, input_shape, num_classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Lambda(lambda x: x * 2.0),
            layers.Dense(hp["units"], activation="relu"),
            layers.Dense(num_classes, activation="softmax"),
        ]
    )


def shared_towers(hp, input_shape, num_classes):
    """Two inputs through the same layers."""
    left, right = (keras.Input(shape) for shape in input_shape)
    tower = keras.Sequential([layers.Dense(hp["units"], "relu"), layers.Dense(4)], name="tower")
    joined = layers.Subtract()([tower(left), tower(right)])
    return keras.Model([left, right], layers.Dense(num_classes, activation="softmax")(joined))


def named_inputs(hp, input_shape, num_classes):
    numbers = keras.Input(input_shape["numbers"], name="numbers")
    picture = keras.Input(input_shape["picture"], name="picture")
    seen = layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(picture))
    joined = layers.Concatenate()([layers.Dense(hp["units"], activation="relu")(numbers), seen])
    outputs = layers.Dense(num_classes, activation="softmax")(joined)
    return keras.Model({"numbers": numbers, "picture": picture}, outputs)


def columns(hp, input_shape, num_classes):
    """As in Keras's guide to structured data."""
    inputs = {
        "age": keras.Input((1,), name="age"),
        "income": keras.Input((1,), name="income"),
        "kind": keras.Input((1,), name="kind", dtype="int64"),
    }
    kind = layers.CategoryEncoding(num_tokens=4)(inputs["kind"])
    age = layers.Discretization([-1.0, 0.0, 1.0], output_mode="one_hot")(inputs["age"])
    income = layers.Normalization(mean=0.0, variance=1e6)(inputs["income"])
    joined = layers.Concatenate()([age, income, kind])
    joined = layers.Dense(hp["units"], activation="relu")(joined)
    return keras.Model(inputs, layers.Dense(num_classes, activation="softmax")(joined))
