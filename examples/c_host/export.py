"""Writes the data as text: a line `rows columns`, then a row per patient: the standardised features, 1, the label.

The Wisconsin breast cancer data (569 patients, 30 measurements of cell nuclei; label 1 is benign).

    python export.py data.txt
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer


def table():
    """(569, 32): features, a column of ones for the intercept, the label."""
    data = load_breast_cancer()
    X = (data.data - data.data.mean(0)) / data.data.std(0)
    return np.column_stack([X, np.ones(len(X)), data.target.astype(float)])


if __name__ == "__main__":
    rows = table()
    text = f"{rows.shape[0]} {rows.shape[1]}\n" + "".join(" ".join(f"{v:.17g}" for v in row) + "\n" for row in rows)
    Path(sys.argv[1]).write_text(text, encoding="ascii")
