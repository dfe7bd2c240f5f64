import paddle
from paddle import nn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

EPOCHS = 9


def digits():
    x, y = load_digits(return_X_y=True)
    parts = train_test_split(x / 16, y, test_size=0.2, random_state=0, stratify=y)
    x, x_val, y, y_val = map(paddle.to_tensor, parts)
    return (x.astype("float32"), y), (x_val.astype("float32"), y_val)


def train(hp, report, *, seed):
    # States go by names, which Paddle would otherwise count on from trial to trial.
    with paddle.utils.unique_name.guard():
        trained(hp, report, seed)


def trained(hp, report, seed):
    (x, y), (x_val, y_val) = digits()
    net = nn.Sequential(
        nn.Linear(64, hp["units"], bias_attr=False),
        nn.BatchNorm1D(hp["units"]),
        nn.ReLU(),
        nn.Linear(hp["units"], 10),  # its softmax is in the loss
    )
    loss_of = nn.CrossEntropyLoss()
    rates = hp["learning_rate"], hp["momentum"]
    optimizer = paddle.optimizer.Momentum(*rates, parameters=net.parameters())
    found = report.checkpoint.load()
    if found:
        net.set_state_dict(paddle.load(str(found / "net")))
        optimizer.set_state_dict(paddle.load(str(found / "optimizer")))
    for epoch in range(report.checkpoint.epoch + 1, EPOCHS + 1):
        paddle.seed(seed + epoch)  # so that an epoch's batches are the same after a stop
        net.train()
        for rows in paddle.randperm(len(x)).split(batch_sizes(len(x), hp["batch_size"])):
            loss = loss_of(net(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            optimizer.clear_grad()
        net.eval()
        with paddle.no_grad():
            logits = net(x_val)
        right = (logits.argmax(1) == y_val).astype("float32").mean()
        with report.checkpoint.save(epoch) as folder:
            paddle.save(net.state_dict(), str(folder / "net"))
            paddle.save(optimizer.state_dict(), str(folder / "optimizer"))
        report(epoch, loss=loss, val_loss=loss_of(logits, y_val), val_accuracy=right)


def batch_sizes(rows, size):
    whole = [size] * (rows // size)
    return [*whole, rows - sum(whole)] if rows % size else whole
