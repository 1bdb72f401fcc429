"""The same network computed by OpenVINO: twice as fast in fp32 on a CPU, four times in bf16."""

import functools
import logging
import threading
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32, UInt8

from eyechart.embedding.devices import device, precision
from eyechart.errors import EyechartError, Unavailable

log = logging.getLogger("eyechart")
_HINTS = {"fp32": "f32", "bf16": "bf16"}
Forward = Callable[[UInt8[np.ndarray, "n s s 3"]], Float32[np.ndarray, "n d"]]


def compiled(see: torch.nn.Module, size: int, batch: int) -> Forward:
    """Give a network's forward pass by OpenVINO. It is compiled when it is first called.

    Args:
        see: takes uint8 [n, size, size, 3], gives [n, d].
        size: of the images.
        batch: the images in one pass; the last ones of a longer array are padded to that.

    Raises:
        Unavailable: OpenVINO is not installed.
        EyechartError: the device or the precision is none that OpenVINO computes with here.
    """
    core, lock = _core(), threading.Lock()
    hint = _checked(core)

    @functools.cache
    def once() -> Any:
        return _compile(core, see, (batch, size, size, 3), hint)

    def forward(images: UInt8[np.ndarray, "n s s 3"]) -> Float32[np.ndarray, "n d"]:
        with lock:
            network = once()
            return np.concatenate([_run(network, images[i : i + batch], batch) for i in range(0, len(images), batch)])

    return forward


def _core() -> Any:
    try:
        import openvino
    except ImportError as error:
        raise Unavailable("--backend openvino needs OpenVINO: pip install 'eyechart[openvino]'.") from error
    return openvino.Core()


def _checked(core: Any) -> str:
    """Give OpenVINO's name of the precision in force, where this machine computes with it."""
    if device() != "cpu":
        raise EyechartError(f"--backend openvino computes on the CPU; got --device {device()}. Add --device cpu.")
    asked = precision()
    if asked not in _HINTS:
        raise EyechartError(f"--backend openvino computes in fp32 or bf16; got --precision {asked}.")
    if asked == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise EyechartError("this CPU has no bf16 instructions, so OpenVINO cannot compute in bf16; use fp32.")
    return _HINTS[asked]


def _compile(core: Any, see: torch.nn.Module, shape: tuple[int, int, int, int], hint: str) -> Any:
    import openvino

    example = torch.zeros(shape, dtype=torch.uint8)
    try:
        with torch.inference_mode(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the tracer's, of shapes it takes for constant: ours are
            network = openvino.convert_model(see, example_input=example, input=list(shape))
    except Exception as error:  # tracing runs all of a network's code, and fails in as many ways
        what = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
        raise EyechartError(f"OpenVINO cannot convert this network ({what}); use --backend torch.") from error
    return core.compile_model(
        network,
        "CPU",
        {
            "INFERENCE_PRECISION_HINT": hint,
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
        },
    )


def _run(network: Any, images: np.ndarray, batch: int) -> Float32[np.ndarray, "n d"]:
    padded = np.concatenate([images, np.zeros((batch - len(images), *images.shape[1:]), np.uint8)])
    return np.array(network(padded)[0][: len(images)], dtype=np.float32)
