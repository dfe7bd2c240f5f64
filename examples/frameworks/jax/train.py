import jax
import jax.numpy as jnp
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

EPOCHS = 9


def digits():
    x, y = load_digits(return_X_y=True)
    x, x_val, y, y_val = train_test_split(x / 16, y, test_size=0.2, random_state=0, stratify=y)
    return (x.astype("float32"), y), (x_val.astype("float32"), y_val)


def new_net(units, seed):
    first, second = jax.random.split(jax.random.key(seed))
    weights = {
        "hidden": jax.random.normal(first, (64, units)) * (2 / 64) ** 0.5,
        "scale": jnp.ones(units),
        "shift": jnp.zeros(units),
        "softmax": jax.random.normal(second, (units, 10)) * (1 / units) ** 0.5,
        "bias": jnp.zeros(10),
    }
    averages = {"mean": jnp.zeros(units), "variance": jnp.ones(units)}
    return weights, averages


def logits_of(weights, x, mean=None, variance=None):
    """Return logits, and the hidden layer's mean and variance: the batch's where none are given."""
    hidden = x @ weights["hidden"]
    if mean is None:
        mean, variance = hidden.mean(0), hidden.var(0)
    normal = (hidden - mean) / jnp.sqrt(variance + 1e-3)
    active = jax.nn.relu(normal * weights["scale"] + weights["shift"])
    return active @ weights["softmax"] + weights["bias"], {"mean": mean, "variance": variance}


def cross_entropy(logits, y):
    return -jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1).mean()


def loss_of(weights, x, y):
    logits, statistics = logits_of(weights, x)
    return cross_entropy(logits, y), statistics


@jax.jit
def step(weights, speed, averages, x, y, learning_rate, momentum):
    (loss, batch), gradient = jax.value_and_grad(loss_of, has_aux=True)(weights, x, y)
    speed = jax.tree.map(lambda v, g: momentum * v - learning_rate * g, speed, gradient)
    weights = jax.tree.map(jnp.add, weights, speed)
    averages = jax.tree.map(lambda old, new: 0.9 * old + 0.1 * new, averages, batch)
    return weights, speed, averages, loss


def loaded(file, like):
    arrays = np.load(file)
    return jax.tree.unflatten(jax.tree.structure(like), [arrays[name] for name in arrays.files])


def train(hp, report, *, seed):
    (x, y), (x_val, y_val) = digits()
    weights, averages = new_net(hp["units"], seed)
    speed = jax.tree.map(jnp.zeros_like, weights)
    found = report.checkpoint.load()
    if found:
        weights, speed, averages = loaded(found / "state.npz", (weights, speed, averages))
    rates = hp["learning_rate"], hp["momentum"]
    for epoch in range(report.checkpoint.epoch + 1, EPOCHS + 1):
        # A generator for each epoch: its batches are the same after a stop.
        shuffled = np.random.default_rng([seed, epoch]).permutation(len(x))
        # The last rows of the shuffle, fewer than a batch, would be a shape of their own to compile for.
        for start in range(0, len(x) - hp["batch_size"] + 1, hp["batch_size"]):
            rows = shuffled[start : start + hp["batch_size"]]
            weights, speed, averages, loss = step(
                weights, speed, averages, x[rows], y[rows], *rates
            )
        logits, _ = logits_of(weights, x_val, **averages)
        right = (logits.argmax(1) == y_val).mean()
        with report.checkpoint.save(epoch) as folder:
            np.savez(folder / "state.npz", *jax.tree.leaves((weights, speed, averages)))
        report(epoch, loss=loss, val_loss=cross_entropy(logits, y_val), val_accuracy=right)
