"""Convolutions and what goes with them."""

import keras
from keras import layers, ops


def small(hp, input_shape, num_classes):
    """Takes bytes as they are."""
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Rescaling(1 / 255),
            layers.Conv2D(hp["units"], 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(num_classes, activation="softmax"),
        ]
    )


def separable(hp, input_shape, num_classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.ZeroPadding2D(1),
            layers.SeparableConv2D(hp["units"], 3, activation="relu"),
            layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2, activation="relu"),
            layers.AveragePooling2D(2),
            layers.Cropping2D(1),
            layers.Conv2D(6, 1, strides=1, use_bias=False),
            layers.GlobalMaxPooling2D(),
            layers.Dense(num_classes, activation="softmax"),
        ]
    )


def residual(hp, input_shape, num_classes):
    inputs = keras.Input(input_shape)
    x = layers.Conv2D(hp["units"], 3, padding="same", use_bias=False)(inputs)
    x = layers.ReLU()(layers.BatchNormalization(momentum=0.8)(x))
    y = layers.Conv2D(hp["units"], 3, padding="same", groups=1, use_bias=False)(x)
    y = layers.BatchNormalization(momentum=0.8, scale=False)(y)
    x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(num_classes, activation="softmax")(x))


def augmented(hp, input_shape, num_classes):
    """Pictures are turned and made noisy while training, as the layers' own seeds say."""
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.RandomFlip("horizontal", seed=1),
            layers.RandomTranslation(0.1, 0.1, seed=2),
            layers.RandomContrast(0.2, seed=3),
            layers.GaussianNoise(0.05, seed=4),
            layers.Conv2D(hp["units"], 3, activation="relu"),
            layers.SpatialDropout2D(0.2),
            layers.Flatten(),
            layers.Dense(num_classes, activation="softmax"),
        ]
    )


def volume(hp, input_shape, num_classes):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Conv3D(hp["units"], 2, activation="relu"),
            layers.MaxPooling3D(2),
            layers.Flatten(),
            layers.Dense(num_classes, activation="softmax"),
        ]
    )


@keras.saving.register_keras_serializable("parity")
def dice(y_true, y_pred):
    both = ops.sum(y_true * y_pred, axis=(1, 2, 3))
    return 1 - (2 * both + 1) / (ops.sum(y_true + y_pred, axis=(1, 2, 3)) + 1)


def segmenting(hp, input_shape, num_classes):
    """A small U-net with a label for each point."""
    inputs = keras.Input(input_shape)
    a = layers.Conv2D(hp["units"], 3, padding="same", activation="relu")(inputs)
    b = layers.Conv2D(6, 3, padding="same", activation="relu")(layers.MaxPooling2D(2)(a))
    c = layers.Concatenate()([a, layers.UpSampling2D(interpolation="bilinear")(b)])
    model = keras.Model(inputs, layers.Conv2D(1, 1, activation="sigmoid")(c))
    model.compile("adam", dice, metrics=["accuracy", keras.metrics.BinaryIoU()])
    return model


def point_classes(hp, input_shape, num_classes):
    inputs = keras.Input(input_shape)
    a = layers.Conv2D(hp["units"], 3, padding="same", activation="relu")(inputs)
    model = keras.Model(inputs, layers.Conv2D(3, 1, activation="softmax")(a))
    model.compile(
        "adam",
        "sparse_categorical_crossentropy",
        metrics=["accuracy", keras.metrics.MeanIoU(3, sparse_y_pred=False)],
    )
    return model


def restoring(hp, input_shape, num_classes):
    model = keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Conv2D(hp["units"], 3, strides=2, padding="same", activation="relu"),
            layers.Conv2DTranspose(6, 3, strides=2, padding="same", activation="relu"),
            layers.Conv2D(3, 3, padding="same", activation="sigmoid"),
        ]
    )
    model.compile("adam", "mse", metrics=["mae"])
    return model


def _backbone(input_shape):
    return keras.Sequential(
        [
            keras.Input(input_shape),
            layers.Conv2D(6, 3, activation="relu"),
            layers.BatchNormalization(momentum=0.7),
            layers.Conv2D(6, 3, activation="relu"),
        ],
        name="backbone",
    )


def frozen(hp, input_shape, num_classes):
    """A backbone that does not learn and whose averages stay, as in Keras's guide."""
    backbone = _backbone(input_shape)
    backbone.trainable = False
    inputs = keras.Input(input_shape)
    x = layers.GlobalAveragePooling2D()(backbone(inputs, training=False))
    x = layers.Dense(hp["units"], activation="relu")(x)
    model = keras.Model(inputs, layers.Dense(num_classes, activation="softmax")(x))
    model.compile(
        keras.optimizers.Adam(0.01), "sparse_categorical_crossentropy", metrics=["accuracy"]
    )
    return model


def half_frozen(hp, input_shape, num_classes):
    backbone = _backbone(input_shape)
    backbone.layers[0].trainable = False
    inputs = keras.Input(input_shape)
    x = layers.GlobalAveragePooling2D()(backbone(inputs))
    x = layers.Dense(hp["units"], activation="relu")(x)
    return keras.Model(inputs, layers.Dense(num_classes, activation="softmax")(x))
