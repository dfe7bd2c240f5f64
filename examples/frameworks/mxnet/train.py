import mxnet as mx
import numpy as np
from mxnet import autograd, gluon
from mxnet.gluon import nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

EPOCHS = 9


def digits():
    x, y = load_digits(return_X_y=True)
    parts = train_test_split(x / 16, y, test_size=0.2, random_state=0, stratify=y)
    x, x_val, y, y_val = [mx.nd.array(part) for part in parts]
    return (x, y), (x_val, y_val)


def train(hp, report, *, seed):
    (x, y), (x_val, y_val) = digits()
    rows = gluon.data.ArrayDataset(x, y)
    batches = gluon.data.DataLoader(rows, hp["batch_size"], shuffle=True)
    net = nn.HybridSequential()
    net.add(
        nn.Dense(hp["units"], use_bias=False), nn.BatchNorm(), nn.Activation("relu"), nn.Dense(10)
    )
    net.initialize(mx.init.Xavier())
    net.hybridize()
    loss_of = gluon.loss.SoftmaxCrossEntropyLoss()
    chosen = {"learning_rate": hp["learning_rate"], "momentum": hp["momentum"]}
    trainer = gluon.Trainer(net.collect_params(), "sgd", chosen)
    found = report.checkpoint.load()
    if found:
        net.load_parameters(str(found / "net"))
        trainer.load_states(str(found / "trainer"))
    for epoch in range(report.checkpoint.epoch + 1, EPOCHS + 1):
        np.random.seed(seed + epoch)  # gluon shuffles by NumPy: the same batches after a stop
        for x_batch, y_batch in batches:
            with autograd.record():
                loss = loss_of(net(x_batch), y_batch)
            loss.backward()
            trainer.step(len(x_batch))
        logits = net(x_val)
        right = (logits.argmax(1) == y_val).mean()
        with report.checkpoint.save(epoch) as folder:
            net.save_parameters(str(folder / "net"))
            trainer.save_states(str(folder / "trainer"))
        report(
            epoch,
            loss=loss.mean().asscalar(),
            val_loss=loss_of(logits, y_val).mean().asscalar(),
            val_accuracy=right.asscalar(),
        )
