"""Makes eval/tests/data/eval: rows of four classes and what NumPy and scikit-learn find in them.

    pip install numpy scikit-learn
    python eval/tests/reference/make_eval.py [FOLDER]

`rows.csv` has a row for each chip: split, class, three labels (0 or 1), and twelve features in sixteenths, so that
they are exact. `expected.json` is what the measures must be. kNN is DINO's protocol (`eval_knn.py` of its
repository) in float64.
"""

import json
import sys
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    confusion_matrix,
    f1_score,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.preprocessing import StandardScaler

OUT = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent.parent / "data" / "eval"
TRAIN, TEST, DIM, CLASSES = 300, 100, 12, 4


def draw():
    """Features in sixteenths, classes and labels; classes overlap, and some rows are equal."""
    rng = np.random.default_rng(20240917)
    classes = rng.choice(CLASSES, TRAIN + TEST, p=[0.4, 0.3, 0.2, 0.1])
    centres = rng.normal(0, 0.5, (CLASSES, DIM))
    features = centres[classes] + rng.normal(0, 1, (TRAIN + TEST, DIM))
    features = np.round(features * 16).astype(int)
    features[5:TRAIN:10] = features[:TRAIN - 5:10]
    noise = rng.normal(0, 1, (TRAIN + TEST, 3))
    labels = (features[:, :3] / 16 + noise > [0.3, 1.0, 1.5]).astype(int)
    return features, classes, labels


def unit(rows):
    """As float32, the rows that are compared."""
    rows = rows.astype(np.float64)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32).astype(np.float64)


def knn(bank, labels, queries, k):
    """Votes [queries, classes] of DINO's weighted kNN; the lower row first of equal neighbours."""
    bank, queries = unit(bank), unit(queries)
    votes = np.zeros((len(queries), labels.shape[1]))
    for votes_of, query in zip(votes, queries):
        similarities = (bank * query).sum(axis=1)
        near = np.argsort(-similarities, kind="stable")[:k]
        weights = np.exp(similarities[near] / 0.07)
        votes_of += (weights[:, None] * labels[near]).sum(axis=0)
        votes_of /= weights.sum()
    return votes


def main():
    features, classes, labels = draw()
    OUT.mkdir(parents=True, exist_ok=True)
    with open(OUT / "rows.csv", "w") as file:
        for row in range(TRAIN + TEST):
            split = "train" if row < TRAIN else "test"
            values = [split, classes[row], *labels[row], *features[row]]
            print(*values, sep=",", file=file)
    x = (features / 16).astype(np.float32)
    (a, b), (y, truth), (has, truth_has) = ((v[:TRAIN], v[TRAIN:]) for v in (x, classes, labels))
    expected = {}

    one_hot = np.eye(CLASSES)[y]
    expected["knn"] = {
        str(k): {
            "classes": knn(a, one_hot, b, k).argmax(axis=1).tolist(),
            "mean_average_precision": average_precision_score(truth_has, knn(a, has, b, k), average="macro"),
        }
        for k in (1, 10, 20, 200, 1000)
    }

    scaler = StandardScaler().fit(a.astype(np.float64))
    a, b = scaler.transform(a.astype(np.float64)), scaler.transform(b.astype(np.float64))
    expected["mean"], expected["deviation"] = scaler.mean_.tolist(), scaler.scale_.tolist()
    exact = {"tol": 1e-10, "max_iter": 100_000}

    def fitted(model, x, y, b):
        return {
            "weights": np.atleast_2d(model.coef_).tolist(),
            "bias": np.atleast_1d(model.intercept_).tolist(),
            "classes": model.predict(b).tolist(),
        }

    expected["logistic"] = {
        str(c): fitted(LogisticRegression(C=c, **exact).fit(a, y), a, y, b) for c in (0.001, 0.1, 1.0, 100.0)
    }
    two = y < 2
    expected["two"] = fitted(LogisticRegression(C=0.3, **exact).fit(a[two], y[two]), a, y, b)
    each = OneVsRestClassifier(LogisticRegression(C=0.3, **exact)).fit(a, has)
    expected["labels"] = {
        "weights": [e.coef_[0].tolist() for e in each.estimators_],
        "bias": [e.intercept_[0] for e in each.estimators_],
    }
    scores = each.decision_function(b)
    # Rounded, so that there are equal scores.
    coarse = np.round(scores)
    expected["average_precision"] = {
        "coarse": [average_precision_score(t, s) for t, s in zip(truth_has.T, coarse.T)],
        "mean": average_precision_score(truth_has, coarse, average="macro"),
    }
    predicted = np.array(expected["logistic"]["0.001"]["classes"])
    expected["measures"] = {
        "accuracy": accuracy_score(truth, predicted),
        "macro_f1": f1_score(truth, predicted, average="macro", zero_division=0),
        # A class that is never there but predicted, and one that is neither.
        "macro_f1_of_six": f1_score(np.minimum(truth, 2), np.where(predicted == 3, 4, predicted), average="macro", zero_division=0),
        "confusion": confusion_matrix(truth, predicted, labels=range(CLASSES)).tolist(),
    }
    (OUT / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
