"""ONNX files: found with all they are made of, and opened by onnxruntime."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from eyechart import settings
from eyechart.embedding.devices import device
from eyechart.encoders._weights import first_line
from eyechart.errors import EyechartError, Unavailable
from eyechart.files import digest, sha256_of


def _library() -> tuple[Any, Any]:
    try:
        import onnx
        import onnxruntime
    except ImportError as error:
        raise Unavailable("onnx: needs onnx and onnxruntime: pip install 'eyechart[onnx]'.") from error
    return onnx, onnxruntime


def found(path: Path) -> tuple[Path, str]:
    """Give the file, and the hash of it and of the files it keeps tensors in."""
    library, _ = _library()
    files = sorted(path.glob("*.onnx")) if path.is_dir() else [path]
    if len(files) != 1:
        raise EyechartError(f"{path} holds {len(files)} .onnx files; onnx: takes one file, or a folder that holds one.")
    if not files[0].is_file():
        raise Unavailable(f"there is no file {path}; onnx: takes an .onnx file, or a folder that holds one.")
    try:
        model = library.load(str(files[0]), load_external_data=False)
    except Exception as error:  # whatever the bytes lead its parser to
        raise EyechartError(f"{files[0]} is no ONNX file that can be read: {first_line(error)}.") from error
    others = sorted({name for graph in _graphs(model) for name in _elsewhere(graph)})
    if not others:
        return files[0], sha256_of(files[0])
    if not path.is_dir():
        raise EyechartError(
            f"{path} keeps tensors in {', '.join(others[:3])}, which are part of what it is: put them in a folder of "
            "their own with it, and name that folder, onnx:FOLDER."
        )
    for name in others:
        if Path(name).is_absolute() or ".." in Path(name).parts or not (path / name).is_file():
            raise Unavailable(f"{files[0]} keeps tensors in {name}, and there is no such file in {path}.")
    return files[0], digest([sha256_of(files[0]), *((name, sha256_of(path / name)) for name in others)])


def _graphs(model: Any) -> Iterator[Any]:
    """Give the graph of a model, its functions, and the graphs inside their nodes."""
    waiting = [model.graph, *model.functions]
    while waiting:
        graph = waiting.pop()
        yield graph
        for attribute in _attributes(graph):
            waiting += [*attribute.graphs, *([attribute.g] if attribute.HasField("g") else [])]


def _attributes(graph: Any) -> list[Any]:
    return [attribute for node in graph.node for attribute in node.attribute]


def _elsewhere(graph: Any) -> Iterator[str]:
    """Give the names of the files that tensors of a graph are in."""
    inside = [tensor for one in _attributes(graph) for tensor in (one.t, *one.tensors)]
    sparse = [part for one in getattr(graph, "sparse_initializer", ()) for part in (one.values, one.indices)]
    for tensor in (*getattr(graph, "initializer", ()), *sparse, *inside):
        yield from (entry.value for entry in tensor.external_data if entry.key == "location")


def opened(path: Path) -> Any:
    """Give a session of a file on the device in force. There is no falling back to another one."""
    import torch

    _, library = _library()
    options = library.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = torch.get_num_threads(), 1
    options.log_severity_level = 3  # errors, which are raised as well
    options.use_deterministic_compute = True
    providers = _providers(library)
    try:
        session = library.InferenceSession(str(path), options, providers=providers)
    except Exception as error:
        raise EyechartError(f"onnxruntime cannot open {path}: {first_line(error)}.") from error
    session.disable_fallback()
    if session.get_providers()[0] != providers[0][0]:  # it says so only on the standard error
        raise EyechartError(f"onnxruntime cannot compute {path} by {providers[0][0]} here; use --device cpu.")
    return session


def _providers(library: Any) -> list[tuple[str, dict[str, str]]]:
    kind, _, number = device().partition(":")
    if kind == "cuda":
        if "CUDAExecutionProvider" not in library.get_available_providers():
            raise EyechartError(
                "this onnxruntime has no CUDA, so it cannot compute on the GPU: pip install onnxruntime-gpu in place "
                "of onnxruntime, or use --device cpu."
            )
        return [("CUDAExecutionProvider", {"device_id": number or "0", "use_tf32": "0"})]
    if kind != "cpu" and settings.active().device != "auto":
        raise EyechartError(f"onnx: computes on the CPU or by CUDA; got --device {device()}. Use --device cpu.")
    return [("CPUExecutionProvider", {})]
