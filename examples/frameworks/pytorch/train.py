import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

EPOCHS = 9


def digits():
    x, y = load_digits(return_X_y=True)
    parts = train_test_split(x / 16, y, test_size=0.2, random_state=0, stratify=y)
    x, x_val, y, y_val = map(torch.tensor, parts)
    return (x.float(), y), (x_val.float(), y_val)


def train(hp, report, *, seed):
    (x, y), (x_val, y_val) = digits()
    order = torch.Generator()
    batches = DataLoader(TensorDataset(x, y), hp["batch_size"], shuffle=True, generator=order)
    net = nn.Sequential(
        nn.Linear(64, hp["units"], bias=False),
        nn.BatchNorm1d(hp["units"]),
        nn.ReLU(),
        nn.Linear(hp["units"], 10),  # its softmax is in the loss
    )
    loss_of = nn.CrossEntropyLoss()
    optimizer = torch.optim.SGD(net.parameters(), hp["learning_rate"], hp["momentum"])
    found = report.checkpoint.load()
    if found:
        saved = torch.load(found / "state.pt")
        net.load_state_dict(saved["net"])
        optimizer.load_state_dict(saved["optimizer"])
    for epoch in range(report.checkpoint.epoch + 1, EPOCHS + 1):
        order.manual_seed(seed + epoch)  # so that an epoch's batches are the same after a stop
        net.train()
        for x_batch, y_batch in batches:
            optimizer.zero_grad()
            loss = loss_of(net(x_batch), y_batch)
            loss.backward()
            optimizer.step()
        net.eval()
        with torch.no_grad():
            logits = net(x_val)
        right = (logits.argmax(1) == y_val).float().mean()
        with report.checkpoint.save(epoch) as folder:
            states = {"net": net.state_dict(), "optimizer": optimizer.state_dict()}
            torch.save(states, folder / "state.pt")
        report(epoch, loss=loss, val_loss=loss_of(logits, y_val), val_accuracy=right)
