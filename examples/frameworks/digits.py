"""Write the digits as two tables for programs that cannot ask scikit-learn for them; the label is the last column."""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

x, y = load_digits(return_X_y=True)
parts = train_test_split(np.column_stack([x, y]), test_size=0.2, random_state=0, stratify=y)
for name, part in zip(("digits-train.csv", "digits-validation.csv"), parts, strict=True):
    np.savetxt(name, part, fmt="%d", delimiter=",")
