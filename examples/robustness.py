"""How robust are two encoders to fog, noise and blur, and is the difference real?

Runs offline on scikit-learn's digits. With your own images, `data` is a folder.
"""

import eyechart as ec

out = ec.run(
    encoder=["hog(size=32, cells=4)", "pixels(size=8)"],
    data=["digits"],
    task=['robustness(corruptions=("fog", "gaussian_noise", "defocus_blur"))'],
    out="runs/example-robustness",
    limit=200,
)
table = out.table()
of_linear = table[(table.probe == "linear") & (table.metric == "corruption_accuracy")]
print((100 * of_linear.pivot_table("value", "corruption", ["encoder", "severity"])).round(1).to_string())
print(out.compare().sentence)
for chart in ec.plot([out.out], "runs/example-robustness/charts", chart="severity_curves"):
    print(chart)
