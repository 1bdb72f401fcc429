"""The probes on a GPU: time, peak memory, share of the card's matrix rate, and the same answers as on the CPU.

    python benchmarks/probes/gpu.py [--small]

k-NN of 1,281,167 x 768 against 50,000 queries (k = 20); DINOv2's 45 values of C on 1,000,000 x 768 with 1,000 classes.
The rate is measured with products of 8,192 x 8,192. Answers are compared with the CPU's on 512 queries, and for the
probe on 20,000 rows. `--small` is a hundredth of all sizes, to see that everything works.
"""

import argparse
import json
import time

import numpy as np
import torch
from data import embeddings

from eyechart.probes.knn import Work, neighbors
from eyechart.probes.logistic import fit_logistic

DEVICE = "cuda"
GRID = tuple(float(c) for c in 10 ** np.linspace(-6, 5, 45))
WORK = Work(device=DEVICE)


def rate(dtype: torch.dtype) -> float:
    a = torch.randn(8192, 8192, device=DEVICE, dtype=dtype)
    seconds = []
    for _ in range(10):
        torch.cuda.synchronize()
        start = time.perf_counter()
        a @ a
        torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return 2 * 8192**3 / min(seconds)


def timed(what):
    torch.cuda.reset_peak_memory_stats()
    torch.cuda.synchronize()
    start = time.perf_counter()
    found = what()
    torch.cuda.synchronize()
    return found, time.perf_counter() - start, torch.cuda.max_memory_allocated()


def say(**facts: object) -> None:
    print(json.dumps(facts), flush=True)


def nearest(scale: int, rates: dict[str, float]) -> None:
    n, q = 1_281_167 // scale, 50_000 // scale
    x, queries = embeddings(n, 768, 1000)[0], embeddings(q, 768, 1000, seed=1)[0]
    neighbors(queries[:600], x[:40_000], 20, work=WORK)
    for precision in ("bf16", "fp32"):
        work = Work(device=DEVICE, precision=precision)
        found, seconds, memory = timed(lambda work=work: neighbors(queries, x, 20, work=work))
        share = 2 * n * q * 768 / seconds / rates[precision]
        cpu = neighbors(queries[:512], x, 20)
        same = bool(np.array_equal(cpu.index, found.index[:512]))
        say(
            what="knn",
            n=n,
            queries=q,
            precision=precision,
            seconds=seconds,
            bytes=memory,
            share=share,
            same_as_cpu=same,
        )


def linear(scale: int, rates: dict[str, float]) -> None:
    n, classes = 1_000_000 // scale, max(10, 1000 // scale)
    x, y = embeddings(n, 768, classes)
    fit_logistic(x[:3000], y[:3000], GRID[:3], device=DEVICE)
    models, seconds, memory = timed(lambda: fit_logistic(x, y, GRID, device=DEVICE))
    flops = 4.0 * n * 768 * classes * sum(model.steps + 1 for model in models.values())
    part = fit_logistic(x[:20_000], y[:20_000], (0.01, 1.0), device=DEVICE)
    cpu = fit_logistic(x[:20_000], y[:20_000], (0.01, 1.0))
    apart = max(abs(part[c].objective / cpu[c].objective - 1) for c in cpu)
    done = sum(model.converged for model in models.values())
    say(
        what="linear",
        n=n,
        classes=classes,
        seconds=seconds,
        bytes=memory,
        share=flops / seconds / rates["fp32"],
        converged=done,
        steps=[model.steps for model in models.values()],
        objective_apart_from_cpu=apart,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true")
    scale = 100 if parser.parse_args().small else 1
    rates = {"fp32": rate(torch.float32), "bf16": rate(torch.bfloat16)}
    say(what="card", name=torch.cuda.get_device_name(), **rates)
    nearest(scale, rates)
    linear(scale, rates)


if __name__ == "__main__":
    main()
