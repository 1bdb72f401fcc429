"""Find the images that look like one image, or like two, and draw them on a sheet.

Runs offline on scikit-learn's digits. With your own images, `data` is a folder and a query the path of any image file;
with an encoder such as "clip_b32", `text=` and `without=` search by words.
"""

import numpy as np

import eyechart as ec

encoder, data = "hog(size=32, cells=4)", "digits"
test = ec.embed(encoder, data)["test"]
seven, one = (test.ids[np.flatnonzero(test.y == digit)[0]] for digit in (7, 1))

found = ec.search(encoder, data, seven, k=20, sheet="runs/example-similar.png")
print(f"like {seven}: {sum(bool(hit.right) for hit in found)} of {len(found)} are sevens; see {found.sheet}")
for hit in list(found)[:3]:
    print(f"  {hit.rank}: {hit.id} of {hit.split}, {hit.label}, {hit.score:.4f}")

for combine in ("mean", "max"):
    found = ec.search(encoder, data, [seven, one], k=20, combine=combine)
    labels = [hit.label for hit in found]
    print(f"like a 7 and a 1, the {combine} of both scores: {labels.count('7')} sevens, {labels.count('1')} ones")
