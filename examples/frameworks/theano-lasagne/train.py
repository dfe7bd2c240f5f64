import lasagne
import numpy as np
import theano
import theano.tensor as T
from lasagne.layers import DenseLayer, InputLayer, Layer, NonlinearityLayer
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

EPOCHS = 9


class BatchNorm(Layer):
    """Lasagne 0.1 has none. While it trains, its moving averages follow the batches: ``updates``."""

    def __init__(self, incoming, keep=0.9):
        super().__init__(incoming)
        units, self.keep, self.updates = (self.input_shape[1],), keep, {}
        self.scale = self.add_param(lasagne.init.Constant(1), units, name="scale")
        self.shift = self.add_param(lasagne.init.Constant(0), units, name="shift")
        self.mean, self.variance = [
            theano.shared(np.full(units, value, "float64")) for value in (0, 1)
        ]

    def get_output_for(self, x, deterministic=False, **kwargs):
        mean, variance = self.mean, self.variance
        if not deterministic:
            mean, variance = x.mean(0), x.var(0)
            for average, batch in ((self.mean, mean), (self.variance, variance)):
                self.updates[average] = self.keep * average + (1 - self.keep) * batch
        return (x - mean) / T.sqrt(variance + 1e-3) * self.scale + self.shift


def digits():
    x, y = load_digits(return_X_y=True)
    x, x_val, y, y_val = train_test_split(x / 16, y, test_size=0.2, random_state=0, stratify=y)
    return (x, y.astype("int32")), (x_val, y_val.astype("int32"))


def compiled(hp):
    """Return the functions of a network: a step of training, and loss and accuracy of rows."""
    x, y = T.matrix("x", dtype="float64"), T.ivector("y")
    hidden = DenseLayer(InputLayer((None, 64), x), hp["units"], nonlinearity=None, b=None)
    normal = BatchNorm(hidden)
    active = NonlinearityLayer(normal, lasagne.nonlinearities.rectify)
    net = DenseLayer(active, 10, nonlinearity=lasagne.nonlinearities.softmax)

    def loss_of(answers):
        return lasagne.objectives.categorical_crossentropy(answers, y).mean()

    loss = loss_of(lasagne.layers.get_output(net))
    weights = lasagne.layers.get_all_params(net, trainable=True)
    updates = lasagne.updates.momentum(loss, weights, hp["learning_rate"], hp["momentum"])
    updates.update(normal.updates)
    answers = lasagne.layers.get_output(net, deterministic=True)
    right = T.eq(answers.argmax(1), y).mean()
    return theano.function([x, y], loss, updates=updates), theano.function(
        [x, y], [loss_of(answers), right]
    )


def train(hp, report, *, seed):
    lasagne.random.set_rng(np.random.RandomState(seed))
    (x, y), (x_val, y_val) = digits()
    step, judge = compiled(hp)
    order = np.random.RandomState(seed)
    for epoch in range(1, EPOCHS + 1):
        shuffled = order.permutation(len(x))
        for start in range(0, len(x), hp["batch_size"]):
            rows = shuffled[start : start + hp["batch_size"]]
            loss = step(x[rows], y[rows])
        val_loss, val_accuracy = judge(x_val, y_val)
        report(epoch, loss=loss, val_loss=val_loss, val_accuracy=val_accuracy)
