"""Words and series: embeddings, recurrent nets, attention."""

import keras
from keras import layers, ops


def bag_of_words(hp, input_shape, num_classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Embedding(41, hp["units"]),
            layers.GlobalAveragePooling1D(),
            layers.Dense(num_classes, activation="softmax"),
        ]
    )


def masked_words(hp, input_shape, num_classes):
    model = keras.Sequential(
        [
            keras.Input(input_shape, dtype="int32"),
            layers.Embedding(41, 6, mask_zero=True),
            layers.LSTM(hp["units"]),
            layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile("adam", "binary_crossentropy", metrics=["accuracy", "AUC"])
    return model


def tagging(hp, input_shape, num_classes):
    """A class for each word; padding is masked."""
    model = keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Embedding(41, 6, mask_zero=True),
            layers.Bidirectional(layers.GRU(hp["units"], return_sequences=True)),
            layers.TimeDistributed(layers.Dense(3, activation="softmax")),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def lstm(hp, input_shape, num_classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.LSTM(hp["units"], return_sequences=True, recurrent_dropout=0.1),
            layers.LSTM(4, go_backwards=True, unroll=False),
            layers.Dense(num_classes, activation="softmax"),
        ]
    )


def gru_with_masking(hp, input_shape, num_classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Masking(0.0),
            layers.GRU(hp["units"], dropout=0.1, reset_after=False),
            layers.Dense(num_classes, activation="softmax"),
        ]
    )


def simple_rnn(hp, input_shape, num_classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Bidirectional(layers.SimpleRNN(hp["units"]), merge_mode="sum"),
            layers.Dense(num_classes, activation="softmax"),
        ]
    )


@keras.saving.register_keras_serializable("parity")
class Leaky(layers.Layer):
    """A recurrent cell of one's own."""

    def __init__(self, units, **options):
        super().__init__(**options)
        self.units = self.state_size = units

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.units))
        self.own = self.add_weight(shape=(self.units, self.units), initializer="orthogonal")

    def call(self, x, states):
        new = 0.5 * states[0] + ops.tanh(
            ops.matmul(x, self.kernel) + ops.matmul(states[0], self.own)
        )
        return new, [new]

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def own_cell(hp, input_shape, num_classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.RNN(Leaky(hp["units"])),
            layers.Dense(num_classes, activation="softmax"),
        ]
    )


def stacked_cells(hp, input_shape, num_classes):
    cells = [layers.LSTMCell(hp["units"]), layers.GRUCell(4)]
    model = keras.Sequential([keras.Input(input_shape), layers.RNN(cells), layers.Dense(1)])
    model.compile("adam", "mae", metrics=["mse"])
    return model


def causal(hp, input_shape, num_classes):
    model = keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Conv1D(hp["units"], 2, padding="causal", dilation_rate=2, activation="relu"),
            layers.SpatialDropout1D(0.1, seed=5),
            layers.SeparableConv1D(6, 3, padding="same", activation="swish"),
            layers.Conv1D(2, 1),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), "mse", metrics=["mae"])
    return model


def convolution(hp, input_shape, num_classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Conv1D(hp["units"], 3, activation="relu"),
            layers.MaxPooling1D(2),
            layers.Conv1DTranspose(4, 2),
            layers.UpSampling1D(2),
            layers.GlobalMaxPooling1D(),
            layers.Dense(num_classes, activation="softmax"),
        ]
    )


def film(hp, input_shape, num_classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.ConvLSTM2D(hp["units"], 2, padding="same"),
            layers.Flatten(),
            layers.Dense(num_classes, activation="softmax"),
        ]
    )


def transformer(hp, input_shape, num_classes):
    """Position and word embeddings, one block, as in Keras's example of text classification."""
    inputs = keras.Input(input_shape, dtype="int32")
    positions = ops.arange(0, input_shape[0])
    x = layers.Embedding(41, 8)(inputs) + layers.Embedding(input_shape[0], 8)(positions)
    seen = layers.MultiHeadAttention(2, 4, dropout=0.1)(x, x)
    x = layers.LayerNormalization(epsilon=1e-6)(x + layers.Dropout(0.1)(seen))
    inner = layers.Dense(8)(layers.Dense(hp["units"], activation="gelu")(x))
    x = layers.LayerNormalization(epsilon=1e-6)(x + inner)
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(inputs, layers.Dense(num_classes, activation="softmax")(x))


def attention(hp, input_shape, num_classes):
    inputs = keras.Input(input_shape)
    x = layers.Dense(hp["units"])(inputs)
    a = layers.Attention(use_scale=True, dropout=0.1)([x, x])
    b = layers.AdditiveAttention()([x, x])
    c = layers.GroupQueryAttention(4, 2, 1, use_gate=False)(x, x, use_causal_mask=True)
    joined = layers.GlobalAveragePooling1D()(layers.Concatenate()([a, b, c]))
    return keras.Model(inputs, layers.Dense(num_classes, activation="softmax")(joined))


def matrix_factors(hp, input_shape, num_classes):
    """A person's and a film's factors and biases, as recommenders have them."""
    inputs = keras.Input(input_shape, dtype="int32")
    person, film = inputs[:, 0], inputs[:, 1]
    p = layers.Embedding(40, hp["units"], embeddings_regularizer="l2")(person)
    f = layers.Embedding(60, hp["units"])(film)
    bias = layers.Embedding(60, 1)(film)
    model = keras.Model(inputs, layers.Dot(axes=1)([p, f]) + bias + 3.0)
    model.compile(keras.optimizers.Adam(0.02), "mse", metrics=["mae"])
    return model
