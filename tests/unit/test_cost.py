"""What encoders cost: counts against hand values, times only for being times, and the machine in the identity."""

import dataclasses
import doctest
import json
import math
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import eyechart as ec
from eyechart import costs
from eyechart.case import Case
from eyechart.embedding import cost as measuring
from eyechart.embedding import devices, machine
from eyechart.embedding.cost import Seconds, gmacs, growth, parameters, timed, weight_bytes
from eyechart.embedding.loading import built, load_encoder
from eyechart.encoders._torch import from_module
from eyechart.metrics.names import metrics
from eyechart.plan import draws
from eyechart.registry import bind
from eyechart.results import records
from eyechart.results.leaderboard import headline, told_apart
from eyechart.runs import run as run_study
from eyechart.show import terminal
from eyechart.show.content import gather
from eyechart.show.report import render
from eyechart.tasks import cost as task
from eyechart.types import Encoder, Measure, Transform
from samples import mean_color, output_of, photos, plain_encoder, refuses, toy, toy_data

QUICK = "cost(warmup=0, repeats=3)"


def network(*layers, size=8):
    module = torch.nn.Sequential(*layers)
    return from_module(module, Transform(size=size), features=lambda net, pixels: net(pixels), loaded="by hand")


def convolution():
    """A convolution from 8 x 8 to 4 x 4, then a linear layer, both with bias."""
    return network(torch.nn.Conv2d(3, 8, 3, stride=2, padding=1), torch.nn.Flatten(), torch.nn.Linear(8 * 4 * 4, 5))


def measured(encoder, *, data=None, text=QUICK):
    """What the task yields, and what it notes."""
    bound = bind("tasks", text)
    case = Case(encoder=encoder, data=data or toy_data(), task=bound.text, label="here")
    return list(bound.entry.load()(case, **bound.options)), case.notes


def value_of(measures, metric, **facets):
    """The value of the only measure of exactly these facets."""
    (found,) = [m.value for m in measures if m.metric == metric and dict(m.facets) == facets]
    return found


def run(**options):
    asked = {"encoder": ["pixels(size=4)"], "data": [toy_data()], "task": [QUICK], "out": "out"} | options
    results = run_study(**asked)
    assert not results.failures, results.failures
    return results


# Counts


def test_parameters_and_products_of_a_small_network_are_those_counted_by_hand():
    encoder = convolution()
    blank = np.zeros((1, 8, 8, 3), np.uint8)
    assert parameters(encoder.module) == (3 * 9 * 8 + 8) + (128 * 5 + 5)
    assert weight_bytes(encoder.module) == 4 * parameters(encoder.module)
    products = 4 * 4 * 8 * (3 * 9) + 128 * 5
    assert gmacs(encoder, blank) == pytest.approx(products / 1e9, rel=1e-12)


def test_a_grouped_convolution_multiplies_only_within_its_groups():
    encoder = network(torch.nn.Conv2d(3, 6, 3, padding=1, groups=3, bias=False), torch.nn.Flatten(), size=4)
    assert gmacs(encoder, np.zeros((1, 4, 4, 3), np.uint8)) == pytest.approx(4 * 4 * 6 * 9 / 1e9)


def test_a_weight_that_two_layers_share_is_one_weight():
    first, second = torch.nn.Linear(7, 7, bias=False), torch.nn.Linear(7, 7, bias=False)
    second.weight = first.weight
    assert parameters(torch.nn.Sequential(first, second)) == 49


def test_buffers_take_memory_and_are_no_parameters():
    normal = torch.nn.BatchNorm2d(4)
    assert parameters(normal) == 8
    assert weight_bytes(normal) == 4 * (8 + 8) + 8  # mean and variance, and a counter of 64 bits


def test_attention_is_counted_and_the_fast_path_is_as_it_was():
    tokens, width = 16, 12

    class Attend(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.attention = torch.nn.MultiheadAttention(
                width, 2, batch_first=True
            )  # odd numbers of heads have no fast path

        def forward(self, pixels):
            x = pixels.flatten(1).view(len(pixels), tokens, width)
            return self.attention(x, x, x, need_weights=False)[0].mean(dim=1)

    encoder = network(Attend())
    for fast in (True, False):
        torch.backends.mha.set_fastpath_enabled(fast)
        counted = gmacs(encoder, np.zeros((1, 8, 8, 3), np.uint8))
        assert torch.backends.mha.get_fastpath_enabled() is fast
        assert counted == pytest.approx((4 * tokens * width**2 + 2 * tokens**2 * width) / 1e9)
    torch.backends.mha.set_fastpath_enabled(True)


@pytest.mark.parametrize(
    ("name", "published", "head", "products"),
    # timm's tables: millions of parameters and GMACs at 224 px with the classifier, which an encoder does not have
    [("vit_tiny_patch16_224", 5.72, 192 * 1000 + 1000, 1.26), ("resnet18", 11.69, 512 * 1000 + 1000, 1.82)],
)
def test_known_networks_have_their_known_sizes(name, published, head, products):
    encoder = built(load_encoder(bind("encoders", f"timm:{name}(pretrained=False)")))
    assert parameters(encoder.module) == pytest.approx(1e6 * published - head, rel=0.002)
    assert gmacs(encoder, np.zeros((1, 224, 224, 3), np.uint8)) == pytest.approx(products, rel=0.02)


# Times


@pytest.fixture
def instant(monkeypatch):
    """Every timed call is made once, and said to take the same."""

    def once(call, images, **_):
        call()
        return Seconds(median=0.1, low=0.05, high=0.2, n=7)

    monkeypatch.setattr(measuring, "timed", once)


@pytest.fixture
def clock(monkeypatch):
    """A clock that only moves when it is told to; the list says by how much at each call."""
    now = [0.0]
    monkeypatch.setattr(measuring.time, "perf_counter", lambda: now[0])

    def advance(seconds):
        now[0] += seconds

    return advance


def test_times_are_the_median_and_the_ends_of_the_calls_for_each_image(clock):
    taken = [9.0, 9.0, 0.4, 0.1, 0.2, 0.5, 0.3]  # the first two warm up
    steps = iter(taken)
    found = timed(lambda: clock(next(steps)), 2, warmup=2, repeats=5, seconds=1000.0)
    low, high = np.percentile([0.05, 0.1, 0.15, 0.2, 0.25], [2.5, 97.5])
    assert (found.median, found.n) == (pytest.approx(0.15), 5)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))
    assert next(steps, None) is None


def test_slow_calls_are_made_less_often_but_three_times(clock):
    calls = []
    found = timed(lambda: (calls.append(1), clock(10.0)), 1, warmup=10, repeats=40, seconds=3.0)
    assert (found.n, len(calls)) == (3, 4)
    calls.clear()
    found = timed(lambda: (calls.append(1), clock(1.0)), 1, warmup=10, repeats=40, seconds=8.0)
    assert (found.n, len(calls)) == (8, 3 + 8)


def test_a_clock_that_stands_still_divides_by_no_zero(clock):
    found = timed(lambda: None, 1, warmup=0, repeats=3, seconds=1.0)
    assert 0 < found.low <= found.median <= found.high < 1e-6


def test_times_of_one_after_the_other_add_up():
    one, two = Seconds(median=2.0, low=1.0, high=4.0, n=40), Seconds(median=20.0, low=10.0, high=40.0, n=7)
    assert one + two == Seconds(median=22.0, low=11.0, high=44.0, n=7)


# Memory


def test_growth_is_what_a_call_holds_at_its_peak():
    def hold():
        held = np.ones(48 << 20, np.uint8)
        time.sleep(0.05)  # so that it is looked at
        return len(held)

    found = [growth(hold) for _ in range(2)]  # the second time, too, though the memory was just freed
    assert all(48 << 20 <= one < 80 << 20 for one in found)


def test_what_was_held_before_a_call_is_no_growth():
    before = np.ones(64 << 20, np.uint8)
    assert growth(lambda: None) < 16 << 20
    assert len(before)


def test_memory_that_was_freed_and_is_used_again_is_growth():
    held = [np.ones(64 << 10, np.uint8) for _ in range(600)]
    last = np.ones(64 << 10, np.uint8)  # holds the end of the heap, so that the C library keeps what is freed
    held.clear()

    def hold():
        again = [np.ones(64 << 10, np.uint8) for _ in range(600)]
        time.sleep(0.05)
        return len(again)

    assert growth(hold) > 32 << 20
    assert len(last)


def test_pages_of_a_file_are_no_growth(tmp_path):
    (tmp_path / "x.bin").write_bytes(bytes(48 << 20))
    mapped = np.memmap(tmp_path / "x.bin", mode="r")

    def look():
        total = int(mapped.sum())
        time.sleep(0.05)
        return total

    assert growth(look) < 16 << 20


def on(kind):
    """A network whose weights are on a device of a kind."""
    return SimpleNamespace(parameters=lambda: iter([SimpleNamespace(device=torch.device(kind))]))


def test_on_cuda_growth_is_what_torch_allocated_there_beyond_what_was(monkeypatch):
    held = {"now": 700, "peak": 5000}  # the peak is of something earlier

    def call():
        held["peak"] = max(held["peak"], 900)

    monkeypatch.setattr(torch.cuda, "synchronize", lambda where: None)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda where: held.update(peak=held["now"]))
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda where: held["now"])
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda where: held["peak"])
    assert growth(call, on("cuda:0")) == 200


def test_on_other_devices_memory_is_not_known():
    assert growth(lambda: None, on("mps")) is None


def test_where_memory_cannot_be_seen_it_is_left_out_and_that_is_said(monkeypatch):
    monkeypatch.setattr(measuring, "_STATM", Path("/nowhere"))
    assert growth(lambda: None) is None
    measures, notes = measured(convolution())
    assert "peak_memory_bytes" not in {m.metric for m in measures}
    assert any("peak memory is left out" in note for note in notes)


def test_peak_memory_is_the_weights_and_the_growth(monkeypatch):
    monkeypatch.setattr(measuring, "growth", lambda call, module: 1000)
    measures, _ = measured(convolution())
    assert value_of(measures, "peak_memory_bytes", batch=32) == 4 * 869 + 1000


# The task


def test_every_number_has_its_name_unit_and_facets():
    measures, notes = measured(convolution())
    encoder = {(m.metric, *sorted(m.facets.items())) for m in measures if "head" not in m.facets}
    assert encoder == {
        ("images_per_second", ("batch", 32), ("part", "forward")),
        ("latency_ms", ("batch", 1), ("part", "forward")),
        ("images_per_second", ("batch", 32), ("part", "total")),
        ("latency_ms", ("batch", 1), ("part", "total")),
        ("parameters",),
        ("gmacs",),
        ("peak_memory_bytes", ("batch", 32)),
        ("bytes_per_embedding",),
    }
    heads = {(m.metric, m.facets["head"], m.facets.get("batch")) for m in measures if "head" in m.facets}
    each = (("latency_ms", 1), ("images_per_second", 256), ("head_bytes", None))
    assert heads == {(metric, head, batch) for head in ("knn", "centroid", "linear") for metric, batch in each}
    units = {m.metric: metrics()[m.metric]["unit"] for m in measures}
    assert units == {
        "images_per_second": "images/s",
        "latency_ms": "ms",
        "parameters": "parameters",
        "gmacs": "GMACs",
        "peak_memory_bytes": "bytes",
        "bytes_per_embedding": "bytes",
        "head_bytes": "bytes",
    }
    repeating = {name for name in units if metrics()[name].get("repeats", True)}
    assert repeating == {"parameters", "gmacs", "bytes_per_embedding", "head_bytes"}
    assert notes == []


def test_times_are_times():
    measures, _ = measured(convolution())
    timings = [m for m in measures if m.metric in {"images_per_second", "latency_ms"}]
    assert len(timings) == 4 + 6
    for m in timings:
        assert 0 < m.low <= m.value <= m.high < math.inf
        assert m.n == 3


def test_the_interval_of_a_speed_is_that_of_its_times(instant):
    measures, _ = measured(convolution())
    for m in measures:
        if m.metric == "images_per_second":
            assert (m.value, m.low, m.high, m.n) == (10, 5, 20, 7)
        if m.metric == "latency_ms":
            assert (m.value, m.low, m.high, m.n) == (100, 50, 200, 7)


def test_calls_are_about_as_many_images_as_they_say(monkeypatch):
    seen, asked = [], []
    encoder = plain_encoder(forward=lambda batch: (seen.append(len(batch)), mean_color(batch))[1])

    def called(call, images, **_):
        seen.clear()
        call()
        asked.append((images, seen[-1] if seen else None))
        return Seconds(median=1.0, low=1.0, high=1.0, n=1)

    monkeypatch.setattr(measuring, "timed", called)
    with ec.settings.using(batch_size=5):
        measured(encoder)
    encoding, heads = asked[:4], asked[4:]
    assert sorted(encoding) == [(1, 1), (1, 1), (5, 5), (5, 5)]
    assert [images for images, _ in heads] == [1, 256] * 3


def test_work_that_an_encoder_does_in_its_own_preprocessing_is_its_work(monkeypatch):
    looked = []
    encoder = plain_encoder(
        transform=None, dim=3, preprocess=lambda image: (looked.append(1), image.mean((0, 1)))[1].astype(np.float32)
    )
    encoder = dataclasses.replace(encoder, forward=lambda batch: batch)
    asked = []

    def called(call, images, **_):
        before = len(looked)
        call()
        asked.append((images, len(looked) - before))
        return Seconds(median=1.0, low=1.0, high=1.0, n=1)

    monkeypatch.setattr(measuring, "timed", called)
    with ec.settings.using(batch_size=11):
        measures, _ = measured(encoder)
    assert asked[1:3] == [(11, 11), (1, 1)]  # forward; the first, with threads that run ahead, is total
    assert asked[3] == (1, 1)
    assert value_of(measures, "images_per_second", part="forward", batch=11) == 1


def test_heads_hold_what_they_must():
    data = toy_data() | {"test": toy(7, name="test")}
    measures, _ = measured(convolution(), data=data)  # 12 training images of 2 classes, 5 numbers each
    assert value_of(measures, "bytes_per_embedding") == 20
    assert value_of(measures, "head_bytes", head="knn", k=12, stored=12) == 12 * (4 * 5 + 8)
    assert value_of(measures, "head_bytes", head="centroid", classes=2) == 4 * 2 * 5 + 8 * 5  # means, and their mean
    assert value_of(measures, "head_bytes", head="linear", classes=2) == 4 * (2 * 5 + 2)


def test_the_images_a_head_searches_are_made_ready_once_and_not_for_every_call(made_ready):
    measured(plain_encoder(), text="cost(warmup=2, repeats=5, stored=1000)")
    assert made_ready == [1000]


def test_heads_of_a_stated_size_need_no_embeddings(forwards):
    measures, _ = measured(plain_encoder(), text="cost(warmup=0, repeats=3, stored=1000)")
    assert value_of(measures, "head_bytes", head="knn", k=20, stored=1000) == 1000 * (4 * 6 + 8)
    assert not list(Path("cache").glob("embeddings/*/*"))


def test_an_encoder_without_a_network_has_no_parameters_and_that_is_said():
    measures, notes = measured(plain_encoder())
    assert not {"parameters", "gmacs"} & {m.metric for m in measures}
    assert value_of(measures, "peak_memory_bytes", batch=32) >= 0
    assert any("parameters and gmacs are left out" in note for note in notes)


def test_a_network_that_was_not_built_yet_is_looked_at_too(instant):
    spec = "timm:test_resnet(pretrained=False)"
    first, again = (ec.cost(spec, data=toy_data())[0] for _ in range(2))  # the second time its key is remembered
    assert first.value("parameters") == again.value("parameters") > 1000
    assert first.value("gmacs") == again.value("gmacs") > 0


def test_encoders_made_of_others_cost_the_sum_of_their_parts(monkeypatch, instant):
    monkeypatch.setattr(measuring, "growth", lambda call, module: 1000)
    spec = "timm:test_resnet(pretrained=False)"
    (one,) = ec.cost(spec, data=toy_data())
    weights = one.value("parameters")
    parts = f'concat(parts=("{spec}", "timm:test_resnet(pretrained=False, seed=1)"))'
    for text, times in ((parts, 2), (f'concat(parts=("{spec}", "{spec}"))', 1)):
        (both,) = ec.cost(text, data=toy_data())
        assert both.value("latency_ms", part="forward") == pytest.approx(100 * times)
        assert both.value("images_per_second", part="forward") == pytest.approx(10 / times)
        assert both.value("parameters") == times * weights
        assert both.value("gmacs") == pytest.approx(times * one.value("gmacs"))
        growing = 1000  # they take turns
        assert both.value("peak_memory_bytes") - growing == times * (one.value("peak_memory_bytes") - growing)
        assert both.value("bytes_per_embedding") == 2 * one.value("bytes_per_embedding")


def test_a_part_without_a_network_leaves_the_counts_of_the_whole_out(instant):
    (found,) = ec.cost('concat(parts=("pixels", "timm:test_resnet(pretrained=False)"))', data=toy_data())
    assert found.value("parameters") is None
    assert found.value("latency_ms", part="forward") > 0


def test_embeddings_that_are_looked_up_cost_only_what_there_is(tmp_path):
    data = toy_data()
    ec.embed(plain_encoder(), data, out=tmp_path / "vectors")
    (record,) = run(encoder=[f"precomputed:{tmp_path / 'vectors'}"], data=[data]).records
    assert value_of(record.measures, "bytes_per_embedding") == 24
    assert {m.facets.get("head") for m in record.measures} == {None, "knn", "centroid", "linear"}
    assert {m.metric for m in record.measures if "head" not in m.facets} == {"bytes_per_embedding"}
    assert any("no forward pass" in note for note in record.notes)
    assert headline(record) is None


def test_a_set_without_train_has_no_heads_and_that_is_said():
    measures, notes = measured(plain_encoder(), data={"gallery": toy_data()["test"]})
    assert {m.facets.get("head") for m in measures} == {None}
    assert any("no split called train" in note for note in notes)


def test_images_that_cannot_be_read_are_passed_over(tmp_path, instant):
    root = photos(tmp_path / "photos", n=6)
    for path in list(root.glob("cat/*"))[1:]:
        path.write_bytes(b"nothing")
    (found,) = ec.cost("pixels(size=4)", data=str(root))
    assert found.value("images_per_second", part="total") > 0
    for path in root.glob("*/*"):
        path.write_bytes(b"nothing at all " + path.name.encode())
    (found,) = ec.cost("pixels(size=4)", data=str(root))
    assert "can be read" in found.reason


def test_a_batch_that_does_not_fit_is_halved_and_that_is_said():
    class OutOfMemoryError(RuntimeError):
        pass

    def forward(batch):
        if len(batch) > 8:
            raise OutOfMemoryError
        return mean_color(batch)

    measures, notes = measured(plain_encoder(forward=forward))
    assert value_of(measures, "images_per_second", part="forward", batch=8) > 0
    assert "the memory holds 8 images at once, not 32" in notes


@pytest.mark.parametrize("option", ["warmup=-1", "repeats=0", "seconds=0.0", "stored=0"])
def test_options_that_make_no_sense_are_refused(option):
    with refuses("cost:", option):
        measured(plain_encoder(), text=f"cost({option})")


def test_it_draws_no_random_numbers():
    assert not draws(bind("tasks", "cost"))
    assert run(seed=[1, 2]).records[0].seed is None


@pytest.mark.parametrize("module", [measuring, machine, terminal])
def test_examples_in_docstrings_hold(module):
    tried = doctest.testmod(module)
    assert (tried.attempted > 0, tried.failed) == (True, 0)


# The machine in the identity


def test_another_machine_makes_another_result_beside_the_first(monkeypatch):
    first = run()
    assert (first.computed, run().computed) == (1, 0)
    monkeypatch.setattr(machine, "_processor", lambda: "Another 9000")
    second = run()
    assert second.computed == 1
    assert first.records[0].id != second.records[0].id
    assert second.records[0].keys["machine"]["processor"] == "Another 9000"
    assert len(records.read_all(Path("out"))) == 2
    monkeypatch.undo()


def test_results_of_two_machines_stand_in_two_columns(monkeypatch):
    run()
    monkeypatch.setattr(machine, "_processor", lambda: "Another 9000")
    run()
    shown, dropped = told_apart(records.read_all(Path("out")))
    assert (len(shown), dropped) == (2, [])
    assert len({record.task for record in shown}) == 2


def test_a_task_that_does_not_measure_the_machine_has_none_in_its_identity(monkeypatch):
    first = run(task=["knn(k=1)"])
    assert "machine" not in first.records[0].keys
    monkeypatch.setattr(machine, "_processor", lambda: "Another 9000")
    again = run(task=["knn(k=1)"])
    assert (again.computed, again.records[0].id) == (0, first.records[0].id)


@pytest.mark.parametrize("change", [{"batch_size": 3}, {"workers": 3}])
def test_settings_that_decide_the_speed_are_part_of_the_machine(change):
    run()
    assert run(**change).computed == 1
    assert run(**change).computed == 0


def test_a_function_can_say_that_it_measures_the_machine(monkeypatch):
    def speed(case: Case, *, version: int = 1):
        """A number."""
        yield Measure(metric="latency_ms", value=1.0, n=1)

    assert "machine" not in run(task=[speed]).records[0].keys
    monkeypatch.setattr(sys.modules[__name__], "MACHINE", True, raising=False)
    assert run(task=[speed]).records[0].keys["machine"] == machine.machine()


def test_the_machine_is_described_the_same_each_time_and_names_no_host():
    here = machine.machine()
    assert here == machine.machine()
    assert json.loads(json.dumps(here)) == here
    assert {"processor", "cores", "memory_gib", "device", "gpu", "torch", "batch_size"} <= set(here)
    assert machine.platform.node() not in json.dumps(here).split('"')


def test_a_gpu_in_force_is_part_of_the_machine(monkeypatch):
    cards = [{"name": "NVIDIA H200", "memory": 150 << 30}, {"name": "NVIDIA T4", "memory": 15 << 30}]
    there = {"best": "cuda", "kinds": ["cuda", "cpu"], "bf16": True, "gpus": cards}
    monkeypatch.setattr(devices, "_there", lambda cache: there)
    on = {}
    for name in ("cuda", "cuda:0", "cuda:1", "cpu"):
        with ec.settings.using(device=name):
            on[name] = machine.machine()
    assert on["cuda"] == on["cuda:0"]
    assert (on["cuda"]["gpu"], on["cuda"]["gpu_memory_gib"], on["cuda"]["batch_size"]) == ("NVIDIA H200", 150, 256)
    assert machine.in_words(on["cuda:1"]) == "NVIDIA T4, 15 GiB"
    assert (on["cpu"]["gpu"], on["cpu"]["device"]) == (None, "cpu")


def test_a_finished_cost_is_found_again_without_torch():
    code = """
import sys
import eyechart as ec
out = ec.run(encoder=["noise"], data=["digits"], task=["cost(warmup=0, repeats=3, stored=9)"], limit=40, out="out")
print(out.computed, "torch" in sys.modules)
"""
    assert output_of(code).split()[0] == "1"
    assert output_of(code).split() == ["0", "False"]


def test_verify_compares_what_repeats_on_whatever_machine(monkeypatch, instant):
    run(encoder=["timm:test_resnet(pretrained=False)"], data=["digits"], limit=20)
    path = next(Path("out").glob("results/*/*/*.json"))
    content = json.loads(path.read_text())

    def verified():
        path.write_text(json.dumps(content))
        return next(iter(ec.verify("out", fresh=False)))

    assert verified().same
    monkeypatch.setattr(machine, "_processor", lambda: "Another 9000")
    content["measures"][0]["value"] *= 2  # a speed
    assert verified().same
    (counted,) = [m for m in content["measures"] if m["metric"] == "parameters"]
    counted["value"] += 1
    assert "parameters" in verified().line


# Where it is shown


def dark_or_bright(key, good):
    """Knows the classes, or guesses wrong; with a forward pass, so that it has a speed."""

    def forward(batch):
        is_dark = (batch.mean((1, 2, 3)) < 80).astype(np.float32)
        answer = is_dark if good else np.zeros(len(batch), np.float32)
        return np.stack([answer, 1 - answer], axis=1)

    return Encoder(dim=2, forward=forward, transform=Transform(size=4), key=key)


def test_cost_never_decides_the_order(monkeypatch):
    speeds = iter([0.001] * 10 + [1.0] * 10)  # of the bad encoder, then of the good one
    monkeypatch.setattr(
        measuring, "timed", lambda call, images, **_: Seconds(median=(s := next(speeds)), low=s, high=s, n=1)
    )
    encoders = [dark_or_bright("bad", good=False), dark_or_bright("good", good=True)]
    (board,) = run(encoder=encoders, task=["knn(k=1)", QUICK]).leaderboards()
    assert [name for name, _ in board.rows] == ["good", "bad"]
    fast = {row["encoder"]: row[board.tasks[1]]["value"] for row in board.as_dicts()}
    assert fast["bad"] == pytest.approx(1000)
    assert fast["good"] == pytest.approx(1)
    for path in Path("out").glob("results/cost*/*/good*.json"):
        path.unlink()  # and lacking a cost moves nobody to the end
    shown = records.read_outs([Path("out")])
    from eyechart.results.leaderboard import leaderboards

    assert [name for name, _ in leaderboards(shown)[0].rows] == ["good", "bad"]


def test_the_terminal_shows_a_speed_with_its_unit_and_no_percent(monkeypatch, capsys):
    fixed = Seconds(median=0.0008, low=0.0005, high=0.001, n=3)
    monkeypatch.setattr(measuring, "timed", lambda call, images, **_: fixed)
    monkeypatch.setenv("COLUMNS", "200")
    terminal.print_leaderboards(run(task=["knn(k=1)", QUICK]).leaderboards())
    printed = capsys.readouterr().out
    assert "1,250 images/s  [1,000, 2,000]" in printed
    assert "100.0  [" in printed
    assert "in percent unless a unit is given" in printed


def test_the_report_shows_a_speed_with_its_unit_and_keeps_the_mean_on_val(monkeypatch):
    fixed = Seconds(median=0.0008, low=0.0005, high=0.001, n=3)
    monkeypatch.setattr(measuring, "timed", lambda call, images, **_: fixed)
    run(task=["knn(k=1)", QUICK])
    content = gather([Path("out")])
    (row,) = content.boards[0].rows
    assert row.val == 1.0
    page = render(content)
    assert "1,250\xa0images/s" in page
    assert "125000" not in page
    assert f"measured on {machine.in_words(machine.machine())}" in page
    assert "took no part in the order" in page
    assert "different units" not in page


# The command


def test_the_command_measures_without_data_and_keeps_nothing(eyechart):
    code, out, err = eyechart("cost", "--encoder", "pixels(size=4)", "--encoder", "noise(dim=8)", "--json")
    assert code == 0, err
    first, second = json.loads(out)
    assert [first["encoder"], second["encoder"]] == ["pixels(size=4)", "noise(dim=8)"]
    assert first["machine"] == machine.machine()
    assert (first["reason"], len(first["notes"])) == ("", 1)
    by_head = {m["facets"]["head"]: m for m in second["measures"] if m["metric"] == "head_bytes"}
    assert by_head["knn"]["facets"]["stored"] == costs.STORED
    assert by_head["knn"]["value"] == costs.STORED * (4 * 8 + 8)
    assert not list(Path("cache").glob("embeddings/*"))
    assert not Path("runs").exists()


def test_the_command_prints_a_row_for_each_encoder(instant, eyechart):
    code, out, err = eyechart("cost", "--encoder", "pixels(size=4)", "--encoder", "timm:test_resnet(pretrained=False)")
    assert code == 0
    lines = out.splitlines()
    assert lines[0].split()[0] == "encoder"
    assert lines[1].split()[:3] == ["pixels(size=4)", "-", "-"]
    assert "timm:test_resnet(pretrained=False)" in lines[2]
    assert lines[2].split()[1] != "-"
    assert "k-NN among 10,000 stored images" in lines[3]
    assert "pixels(size=4): parameters and gmacs are left out" in err


def test_the_heads_are_as_large_as_the_training_set_that_is_named(instant, eyechart, tmp_path):
    root = photos(tmp_path / "photos", n=10)
    code, out, _ = eyechart("cost", "--encoder", "pixels(size=4)", "--data", root, "--json")
    assert code == 0
    ((found,),) = [[m for m in one["measures"] if m["facets"].get("head") == "knn"][:1] for one in json.loads(out)]
    assert (found["facets"]["stored"], found["facets"]["k"]) == (12, 12)
    assert not list(Path("cache").glob("embeddings/*"))


def test_settings_reach_what_is_measured(instant, eyechart):
    _, out, _ = eyechart("cost", "--encoder", "pixels(size=4)", "--batch-size", 3, "--workers", 1, "--json")
    (found,) = json.loads(out)
    assert (found["machine"]["batch_size"], found["machine"]["workers"]) == (3, 1)
    assert found["measures"][0]["facets"] == {"part": "forward", "batch": 3}


def test_an_encoder_that_cannot_be_had_does_not_stop_the_others(instant, eyechart):
    code, out, err = eyechart("cost", "--encoder", "precomputed:nowhere", "--encoder", "pixels(size=4)", "--json")
    assert code == 1
    assert [bool(one["reason"]) for one in json.loads(out)] == [True, False]
    assert "error: precomputed:nowhere: there is no folder nowhere" in err
    assert eyechart("cost", "--encoder", "precomputed:nowhere")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "--encoder"),
        (("--encoder", "pixls"), "Did you mean pixels"),
        (("--encoder", "pixels", "--data", "/nowhere"), "there is no folder /nowhere"),
        (("--encoder", "pixels", "--device", "cuda:9"), "there is no device"),
        (("--encoder", "pixels", "--batch-size", "0"), "batch_size"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(eyechart, arguments, words):
    code, _, err = eyechart("cost", *arguments)
    assert code == 2
    (said,) = [line for line in err.splitlines() if line.startswith("error: ")]
    assert words in said
    assert "Traceback" not in err


def test_no_encoders_are_refused_in_python_too():
    with refuses("at least one encoder"):
        ec.cost([])


def test_ranges_without_an_end_are_no_infinity_in_json(eyechart):
    def refuse(constant):
        raise AssertionError(constant)

    rows = json.loads(eyechart("list", "metrics", "--json")[1], parse_constant=refuse)
    assert next(row for row in rows if row["name"] == "latency_ms")["range"] == [0.0, None]
    shown = json.loads(eyechart("show", "metric", "gmacs", "--json")[1], parse_constant=refuse)
    assert shown["range"] == [0.0, None]


def test_commands_that_compute_share_the_flags_for_settings(eyechart):
    settings = ("--precision", "--device", "--batch-size", "--workers", "--data-dir", "--cache-dir", "--plugin")
    for command in ("run", "embed", "cost"):
        _, out, _ = eyechart(command, "--help")
        assert all(f" {flag} " in out for flag in settings)


def test_the_study_for_ones_own_images_measures_costs():
    from eyechart.study import read_study

    assert "cost" in read_study("choose").tasks
    assert task.HEADLINE["metric"] == "images_per_second"
