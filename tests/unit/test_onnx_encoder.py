import hashlib
import shutil
import sys

import numpy as np
import pytest
import torch

from eyechart import settings
from eyechart.embedding.loading import load_encoder
from eyechart.encoders import _onnx
from eyechart.encoders.onnx import onnx
from eyechart.errors import Unavailable
from eyechart.registry import bind
from eyechart.specs import written
from samples import picture, refuses

library = pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")
helper, numpy_helper, FLOAT = library.helper, library.numpy_helper, library.TensorProto.FLOAT

SIDE, DIM = 16, 6
KERNEL = np.random.default_rng(3).standard_normal((DIM, 3, 4, 4)).astype(np.float32)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def batch(n=3, size=SIDE):
    return np.stack([picture(i, size, size) for i in range(n)])


def by_hand(images, mean=MEAN, std=STD):
    """The map of KERNEL, in steps of 4: [n, 4, 4, DIM]."""
    pixels = (images / 255 - mean) / std
    n, side = len(pixels), pixels.shape[1] // 4
    patches = pixels.reshape(n, side, 4, side, 4, 3)
    return np.einsum("nahbwc,dchw->nabd", patches, KERNEL.astype(np.float64))


def node(kind, inputs, outputs, **attributes):
    return helper.make_node(kind, inputs, outputs, **attributes)


def ints(name, *values):
    return numpy_helper.from_array(np.array(values, np.int64), name)


CONV = node("Conv", ["images", "kernel"], ["map"], strides=[4, 4])
MEAN_OF_MAP = [CONV, node("GlobalAveragePool", ["map"], ["square"]), node("Flatten", ["square"], ["features"])]
TOKENS = [
    CONV,
    node("Reshape", ["map", "flat"], ["rows"]),
    node("Transpose", ["rows"], ["patches"], perm=[0, 2, 1]),
    node("ReduceMax", ["patches", "one"], ["cls"], keepdims=1),
    node("Concat", ["cls", "patches"], ["tokens"], axis=1),
]


@pytest.fixture
def make(tmp_path):
    """A function that writes an ONNX file and gives its path."""

    def make(
        nodes=MEAN_OF_MAP, outputs=None, shape=("n", 3, SIDE, SIDE), name="net.onnx", kind=FLOAT, kernel=KERNEL, **more
    ):
        outputs = {"features": ["n", DIM]} if outputs is None else outputs
        inputs = [helper.make_tensor_value_info("images", kind, shape)]
        inputs += [helper.make_tensor_value_info(one, FLOAT, [1]) for one in more.pop("inputs", ())]
        graph = helper.make_graph(
            nodes,
            "net",
            inputs,
            [helper.make_tensor_value_info(key, kind, value) for key, value in outputs.items()],
            [numpy_helper.from_array(kernel, "kernel"), ints("flat", 0, DIM, -1), ints("one", 1)],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
        library.save(model, str(tmp_path / name), **more)
        return str(tmp_path / name)

    return make


def close(rows, expected):
    return rows.dtype == np.float32 and rows.shape == expected.shape and np.allclose(rows, expected, atol=1e-4)


def test_the_features_are_the_files_on_normalized_pixels(make):
    encoder = onnx(make())
    assert close(encoder.forward(batch()), by_hand(batch()).mean(axis=(1, 2)))
    assert (encoder.dim, encoder.transform.size, encoder.module, encoder.stride) == (DIM, SIDE, None, 1)


def test_pixels_are_normalized_as_stated(make):
    mean, std = (0.1, 0.2, 0.3), (1.0, 2.0, 3.0)
    encoder = onnx(make(), mean=mean, std=std, crop_pct=0.5, interpolation="bilinear")
    assert close(encoder.forward(batch()), by_hand(batch(), mean, std).mean(axis=(1, 2)))
    transform = encoder.transform
    assert (transform.mean, transform.std, transform.crop_pct, transform.interpolation) == (mean, std, 0.5, "bilinear")


def test_colors_may_come_last(make):
    nodes = [node("Transpose", ["images"], ["first"], perm=[0, 3, 1, 2])]
    nodes += [node("Conv", ["first", "kernel"], ["map"], strides=[4, 4]), *MEAN_OF_MAP[1:]]
    encoder = onnx(make(nodes, shape=("n", SIDE, SIDE, 3)))
    assert close(encoder.forward(batch()), by_hand(batch()).mean(axis=(1, 2)))


def test_a_column_of_maps_of_one_place_is_a_row(make):
    encoder = onnx(make(MEAN_OF_MAP[:2], {"square": ["n", DIM, 1, 1]}))
    assert close(encoder.forward(batch()), by_hand(batch()).mean(axis=(1, 2)))


@pytest.mark.parametrize("n", [1, 3, 4, 5, 9])
def test_a_fixed_number_of_images_is_filled_up_and_cut(make, n):
    encoder = onnx(make(shape=(4, 3, SIDE, SIDE), outputs={"features": [4, DIM]}))
    assert close(encoder.forward(batch(n)), by_hand(batch(n)).mean(axis=(1, 2)))


@pytest.mark.parametrize("count", ["n", 2])
def test_one_image_has_the_same_features_in_any_batch(make, count):
    encoder = onnx(make(shape=(count, 3, SIDE, SIDE), outputs={"features": [count, DIM]}))
    alone = np.concatenate([encoder.forward(batch(5)[i : i + 1]) for i in range(5)])
    assert np.allclose(encoder.forward(batch(5)), alone, atol=1e-6)


def test_half_precision_goes_in_and_full_comes_out(make):
    half = library.TensorProto.FLOAT16
    encoder = onnx(make(kind=half, kernel=KERNEL.astype(np.float16)))
    rows = encoder.forward(batch())
    assert rows.dtype == np.float32
    assert np.allclose(rows, by_hand(batch()).mean(axis=(1, 2)), atol=0.05)


def tokens():
    patches = by_hand(batch()).reshape(3, -1, DIM)
    return patches.max(axis=1), patches


@pytest.mark.parametrize("pool", ["cls", "mean", "cls+mean"])
def test_tokens_are_pooled_as_asked(make, pool):
    path = make(TOKENS, {"tokens": ["n", 17, DIM]})
    cls, patches = tokens()
    expected = {"cls": cls, "mean": patches.mean(axis=1), "cls+mean": np.hstack([cls, patches.mean(axis=1)])}[pool]
    assert close(onnx(path, pool=pool).forward(batch()), expected)


def test_the_number_of_tokens_in_front_of_the_patches_can_be_stated(make):
    path = make(TOKENS, {"tokens": ["n", 17, DIM]})
    cls, patches = tokens()
    assert close(onnx(path, pool="mean", prefix_tokens=3).forward(batch()), patches[:, 2:].mean(axis=1))
    everything = np.concatenate([cls[:, None], patches], axis=1)
    assert close(onnx(path, pool="mean", prefix_tokens=0).forward(batch()), everything.mean(axis=1))
    with refuses("has 17 tokens, so prefix_tokens=17 leaves none"):
        onnx(path, pool="mean", prefix_tokens=17)
    with refuses("prefix_tokens must count the class token", "got 0"):
        onnx(path, pool="cls", prefix_tokens=0)
    assert onnx(make(name="rows.onnx"), prefix_tokens=0).dim == DIM  # of rows nothing is pooled


def test_a_map_is_averaged_over_its_places(make):
    path = make([CONV], {"map": ["n", DIM, 4, 4]})
    assert close(onnx(path, pool="mean").forward(batch()), by_hand(batch()).mean(axis=(1, 2)))
    with refuses("the output map", "[2, 6, 4, 4]", "pool= must be one of 'mean'"):
        onnx(path, pool="cls")


BOTH = {"tokens": ["n", 17, DIM], "features": ["n", DIM], "square": ["n", DIM, 1, 1]}


def test_the_first_output_of_rows_is_taken_and_others_by_name(make):
    path = make([*TOKENS, *MEAN_OF_MAP[1:]], BOTH)
    assert "output features," in onnx(path).loaded
    assert "output tokens," in onnx(path, pool="mean").loaded
    assert close(onnx(path, output="square").forward(batch()), by_hand(batch()).mean(axis=(1, 2)))
    with refuses("has no output 'logits'", "tokens tensor(float) ['n', 17, 6]", "features"):
        onnx(path, output="logits")


def test_tokens_alone_are_refused_without_a_pool_and_rows_with_one(make):
    with refuses("gives no numbers [n, d]", "pool= for tokens", "tokens tensor(float)"):
        onnx(make(TOKENS, {"tokens": ["n", 17, DIM]}))
    with refuses("the output tokens", "[2, 17, 6] for 2 images", "'cls+mean'"):
        onnx(make(TOKENS, {"tokens": ["n", 17, DIM]}), output="tokens")
    with refuses("gives no tokens", "features"):
        onnx(make(), pool="mean")
    with refuses("the output features", "pool= must be one of None"):
        onnx(make(), pool="mean", output="features")


def test_a_side_that_the_file_leaves_open_must_be_stated(make):
    path = make(shape=("n", 3, "h", "w"))
    with refuses("leaves the side of its images open", "size="):
        onnx(path)
    assert close(onnx(path, size=24).forward(batch(3, 24)), by_hand(batch(3, 24)).mean(axis=(1, 2)))
    with refuses("cannot take images of 2 x 2"):
        onnx(path, size=2)


@pytest.mark.parametrize("size", [24, 0])
def test_a_side_that_the_file_fixes_cannot_be_another(make, size):
    with refuses("size must be what the file fixes, 16", f"got {size}"):
        onnx(make(), size=size)


def test_images_that_are_no_squares_are_refused(make):
    with refuses("takes images that are no squares", "[n, 3, 16, 24]".replace("n", "'n'", 1)):
        onnx(make(shape=("n", 3, SIDE, 24)))


@pytest.mark.parametrize(
    "options",
    [
        {"shape": ("n", 4, SIDE, SIDE), "kernel": np.zeros((DIM, 4, 4, 4), np.float32)},
        {"inputs": ["scale"]},
        {"kind": library.TensorProto.UINT8}
        | {"nodes": [node("Identity", ["images"], ["same"])], "outputs": {"same": ["n", 3, SIDE, SIDE]}},
    ],
)
def test_a_file_that_takes_something_else_is_refused(make, options):
    with refuses("must take images alone, float [n, 3, s, s] or [n, s, s, 3]; it takes images tensor("):
        onnx(make(**options))


def test_an_output_that_is_not_of_each_image_is_refused(make):
    nodes = [*MEAN_OF_MAP, node("ReduceMean", ["features", "zero"], ["all"], keepdims=1)]
    nodes.insert(0, node("Constant", [], ["zero"], value=ints("zero", 0)))
    with refuses("cannot take images of 16 x 16", "2 images gave an output of shape (1, 6)"):
        onnx(make(nodes, {"all": [1, DIM]}))


BY_BATCH = [  # as batch normalization in training mode
    node("ReduceMean", ["images", "axes"], ["mean"]),
    node("Sub", ["images", "mean"], ["around"]),
    node("Conv", ["around", "kernel"], ["map"], strides=[4, 4]),
    *MEAN_OF_MAP[1:],
]


@pytest.mark.parametrize(("axes", "mixes"), [((0, 2, 3), True), ((2, 3), False)])
@pytest.mark.parametrize("count", ["n", 4, 1])
def test_a_network_that_mixes_the_images_of_a_batch_is_refused(make, axes, mixes, count):
    constant = node("Constant", [], ["axes"], value=ints("axes", *axes))
    path = make([constant, *BY_BATCH], {"features": [count, DIM]}, (count, 3, SIDE, SIDE))
    if not mixes or count == 1:
        assert onnx(path).dim == DIM
        return
    with refuses("the images of a batch change one another's features", "evaluation mode", "one image at a time"):
        onnx(path)


def test_it_is_said_which_settings_have_no_effect():
    assert "--backend and --precision have no effect" in " ".join((onnx.__doc__ or "").split())


@pytest.mark.parametrize("content", [b"", b"no network", b"\x00" * 64])
def test_a_file_that_is_no_network_is_refused_in_one_line(tmp_path, content):
    (tmp_path / "net.onnx").write_bytes(content)
    with refuses(str(tmp_path / "net.onnx")):
        onnx(str(tmp_path / "net.onnx"))


def test_a_network_of_unknown_operations_is_refused_in_one_line(make):
    with refuses("onnxruntime cannot open", "Mystery"):
        onnx(make([node("Mystery", ["images"], ["features"])]))


def test_a_file_that_is_not_there_is_unavailable(tmp_path):
    with pytest.raises(Unavailable, match=r"there is no file .*gone\.onnx"):
        onnx(str(tmp_path / "gone.onnx"))


def test_a_folder_must_hold_one_network(make, tmp_path):
    path = make(name="one.onnx")
    assert onnx(str(tmp_path)).weights == onnx(path).weights
    make(name="two.onnx")
    with refuses("holds 2 .onnx files"):
        onnx(str(tmp_path))


@pytest.fixture
def kept_apart(make, tmp_path):
    """A folder with a file whose tensors are in another."""
    (tmp_path / "apart").mkdir()
    make(name="apart/net.onnx", save_as_external_data=True, location="net.data", size_threshold=0)
    return tmp_path / "apart"


def test_tensors_in_another_file_are_part_of_the_identity(kept_apart):
    assert close(onnx(str(kept_apart)).forward(batch()), by_hand(batch()).mean(axis=(1, 2)))

    def key():
        return load_encoder(bind("encoders", written("onnx", str(kept_apart), {}))).key

    before = onnx(str(kept_apart)).weights, key()
    content = bytearray((kept_apart / "net.data").read_bytes())
    content[3] ^= 1
    (kept_apart / "net.data").write_bytes(content)
    after = onnx(str(kept_apart)).weights, key()
    assert before[0] != after[0]
    assert before[1] != after[1]


def test_a_file_with_tensors_in_another_is_named_by_its_folder(kept_apart):
    with refuses("keeps tensors in net.data", "name that folder, onnx:FOLDER"):
        onnx(str(kept_apart / "net.onnx"))
    (kept_apart / "net.data").unlink()
    with pytest.raises(Unavailable, match=r"keeps tensors in net\.data, and there is no such file"):
        onnx(str(kept_apart))


def test_tensors_outside_the_folder_are_refused(kept_apart):
    model = library.load(str(kept_apart / "net.onnx"), load_external_data=False)
    for tensor in model.graph.initializer:
        for entry in tensor.external_data:
            entry.value = "../secret" if entry.key == "location" else entry.value
    (kept_apart / "net.onnx").write_bytes(model.SerializeToString())
    (kept_apart.parent / "secret").write_bytes((kept_apart / "net.data").read_bytes())
    with pytest.raises(Unavailable, match=r"\.\./secret"):
        onnx(str(kept_apart))


def test_tensors_in_a_graph_inside_a_node_are_looked_at_too():
    tensor = numpy_helper.from_array(np.zeros(2, np.float32), "inner")
    tensor.external_data.add(key="location", value="inner.data")
    inner = helper.make_graph([], "inner", [], [], [tensor])
    outer = helper.make_graph([node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)], "outer", [], [])
    graphs = list(_onnx._graphs(helper.make_model(outer)))
    assert [name for graph in graphs for name in _onnx._elsewhere(graph)] == ["inner.data", "inner.data"]


def test_the_hash_is_that_of_the_file(make):
    path = make()
    encoder = onnx(path)
    with open(path, "rb") as file:  # noqa: PTH123
        assert encoder.weights == hashlib.sha256(file.read()).hexdigest()
    assert f"net.onnx (sha256 {encoder.weights[:12]})" in encoder.loaded
    assert "CPUExecutionProvider" in encoder.loaded


CHANGES = {
    "output": "square",
    "size": SIDE,
    "crop_pct": 0.5,
    "interpolation": "bilinear",
    "mean": (0.1, 0.2, 0.3),
    "std": (0.1, 0.2, 0.3),
}


def test_whatever_changes_the_features_changes_the_key(make):
    path = make([*TOKENS, *MEAN_OF_MAP[1:]], BOTH)

    def key(**options):
        return load_encoder(bind("encoders", written("onnx", path, options))).key

    keys = [key(), key(pool="mean"), key(pool="mean", prefix_tokens=2)]
    keys += [key(**{name: value}) for name, value in CHANGES.items()]
    assert len(set(keys)) == len(keys)
    assert key() == keys[0]


def test_the_key_is_of_the_content_and_not_of_where_it_lies(make, tmp_path):
    def key(path):
        return load_encoder(bind("encoders", written("onnx", str(path), {}))).key

    path = make()
    before = key(path)
    assert key(shutil.copy(path, tmp_path / "copy.onnx")) == before
    assert key(make(kernel=KERNEL + 1)) != before


def test_it_computes_with_as_many_threads_as_torch(make, monkeypatch):
    given = []
    real = runtime.InferenceSession

    def session(path, options, **more):
        given.append((options.intra_op_num_threads, options.inter_op_num_threads))
        return real(path, options, **more)

    monkeypatch.setattr(runtime, "InferenceSession", session)
    onnx(make())
    assert given == [(torch.get_num_threads(), 1)]


def test_a_gpu_that_onnxruntime_cannot_use_is_never_replaced_by_the_cpu(make, monkeypatch):
    monkeypatch.setattr(_onnx, "device", lambda: "cuda:1")
    monkeypatch.setattr(runtime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with refuses("this onnxruntime has no CUDA", "onnxruntime-gpu", "--device cpu"):
        onnx(make())


def test_a_gpu_is_asked_for_full_precision_and_must_be_what_computes(make, monkeypatch):
    asked = []
    real = runtime.InferenceSession

    def session(path, options, providers):  # onnxruntime goes on with the CPU where its CUDA cannot be loaded
        asked.extend(providers)
        return real(path, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(_onnx, "device", lambda: "cuda:1")
    monkeypatch.setattr(runtime, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(runtime, "InferenceSession", session)
    with refuses("cannot compute", "by CUDAExecutionProvider here", "--device cpu"):
        onnx(make())
    assert asked == [("CUDAExecutionProvider", {"device_id": "1", "use_tf32": "0"})]


def test_another_device_is_refused_where_it_was_asked_for(make, monkeypatch):
    monkeypatch.setattr(_onnx, "device", lambda: "mps")
    path = make()
    assert "CPUExecutionProvider" in onnx(path).loaded
    with settings.using(device="mps"), refuses("computes on the CPU or by CUDA", "--device mps", "--device cpu"):
        onnx(path)


@pytest.mark.parametrize("missing", ["onnx", "onnxruntime"])
def test_without_the_libraries_the_extra_is_named(make, monkeypatch, missing):
    path = make()
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(Unavailable, match=r"pip install 'eyechart\[onnx\]'"):
        onnx(path)
