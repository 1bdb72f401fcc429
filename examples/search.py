"""Choose encoder and classifier together, with scikit-learn: an Embedder in a Pipeline under GridSearchCV.

Runs offline on scikit-learn's digits. With photographs, X is a list of paths. Each image goes through each encoder
once, however many folds and classifiers there are.
"""

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

import eyechart as ec

digits = load_digits()
images = (digits.images * 15).astype(np.uint8)  # gray, 8 x 8
X_train, X_test, y_train, y_test = train_test_split(images, digits.target, test_size=0.25, random_state=0)

pipeline = Pipeline(
    [
        ("embed", ec.Embedder("pixels(size=8)")),
        ("scale", StandardScaler()),
        ("classify", LogisticRegression(max_iter=500)),
    ]
)
choices = {
    "embed__encoder": ["pixels(size=8)", "hog(size=32, cells=4)", "noise"],
    "classify__C": [0.01, 0.1],
}
search = GridSearchCV(pipeline, choices, cv=3).fit(X_train, y_train)

print("best:", search.best_params_)
print(f"accuracy in cross-validation {search.best_score_:.3f}, on the test images {search.score(X_test, y_test):.3f}")
