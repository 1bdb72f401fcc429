"""Which encoder finds the other images of a digit, and for which queries does only one of them?

Runs offline on scikit-learn's digits. With your own images, `data` is a folder of classes, or `instances:FOLDER` where
file names say what they show.
"""

import eyechart as ec
from eyechart.results.searches import agreement, wins

out = ec.run(
    encoder=["hog(size=32, cells=4)", "pixels(size=8)", 'compared("pixels(size=8)", by="l1")'],
    data=["digits"],
    task=["retrieval(k=(1, 10))"],
    out="runs/example-retrieval",
    limit=300,
)
table = out.table()
shown = table[(table.split == "test") & (table.rule.eq("rectangular") | table.metric.isin(["mrr", "r_precision"]))]
print((100 * shown.pivot_table("value", "encoder", "metric")).round(1).to_string())
for search in ec.queries(out.out):
    print("correlation of average precisions:", agreement(search).round(2).tolist())
    print(f"{len(wins(search))} of {len(search.ids)} queries are answered by one encoder alone")
