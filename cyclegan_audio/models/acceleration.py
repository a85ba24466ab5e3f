"""Speed options of a training step: memory format, joint forwards, fused optimizers, CUDA graphs."""

import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from cyclegan_audio.utils.errors import UserError

AUTO = "auto"
FP16_MIXED = "16-mixed"  # Lightning's name of the precision that scales losses
TENSOR_CORES = (7, 0)  # first compute capability on which channels-last is faster in half precision
MAX_GRAPHS = 4  # of a phase, each with memory of its own
WARM_UP_STEPS = 3  # before a CUDA graph is captured, in which libraries choose their kernels

Tensors = Mapping[str, Tensor]
Phase = Callable[[Tensors], dict[str, Tensor]]


@dataclass(frozen=True)
class Acceleration:
    """Options that make a step faster without changing losses and gradients: True, False or `auto`.

    `auto` chooses what is faster on the device. On Apple's MPS all are False; on a CPU only joint forwards
    are True. On CUDA joint forwards are True, the fused optimizer is True without loss scaling, and
    channels-last is True in half precision on tensor cores. CUDA graphs need an explicit `true`: no GPU has
    run them yet.

    Attributes:
        joint_forwards: a network takes real and identity inputs, or real and fake ones, in one forward.
        channels_last: memory format of the networks' weights, which their activations follow.
        fused_optimizer: one kernel updates all parameters, if the optimizer has one.
        cuda_graphs: replay each phase of a step as one CUDA graph; no effect on other devices.
        compile: compile the networks in place by `torch.compile`.
    """

    joint_forwards: bool | str = AUTO
    channels_last: bool | str = AUTO
    fused_optimizer: bool | str = AUTO
    cuda_graphs: bool | str = AUTO
    compile: bool | str = False

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, bool) and value != AUTO:
                raise UserError(f"acceleration.{field.name} must be true, false or auto, got {value}")

    def resolve(self, device: torch.device, precision: str = "32-true") -> "Acceleration":
        """Replace every `auto` by the choice for `device`.

        Args:
            device: the training device.
            precision: Lightning's name of the precision.
        """
        cuda, half = device.type == "cuda", precision != "32-true"
        defaults = {
            "joint_forwards": cuda or device.type == "cpu",
            "channels_last": cuda and half and torch.cuda.get_device_capability(device) >= TENSOR_CORES,
            "fused_optimizer": cuda and precision != FP16_MIXED,  # the scaler reads the gradients first
            "cuda_graphs": False,
            "compile": False,
        }
        requested = {name: getattr(self, name) for name in defaults}
        resolved = {name: defaults[name] if value == AUTO else value for name, value in requested.items()}
        resolved["cuda_graphs"] = bool(resolved["cuda_graphs"]) and cuda
        return Acceleration(**resolved)

    def prepare(self, networks: Iterable[nn.Module]) -> None:
        """Convert networks to the memory format, and compile them in place."""
        for network in networks:
            if self.channels_last is True:
                network.to(memory_format=torch.channels_last)
            if self.compile is True:
                network.compile()

    def build_optimizer(self, factory: Callable[..., Optimizer], parameters: list[nn.Parameter]) -> Optimizer:
        """Build an optimizer of `parameters`, fused if that is chosen and the optimizer has it."""
        has_fused = "fused" in inspect.signature(factory).parameters
        options = {"fused": True} if self.fused_optimizer is True and has_fused else {}
        return factory(parameters, **options)

    def batched_forward(self, network: nn.Module, *inputs: Tensor) -> list[Tensor]:
        """Apply `network` to each input (B, ...), in one forward if that is chosen and the shapes are equal.

        The network must not mix the samples of a batch.
        """
        if self.joint_forwards is not True or len({x.shape[1:] for x in inputs}) > 1:
            return [network(x) for x in inputs]
        return list(network(torch.cat(inputs)).split([len(x) for x in inputs]))


@dataclass(frozen=True)
class CapturedPhase:
    """A CUDA graph of a phase, with the memory that it reads and writes."""

    graph: Any
    inputs: Tensors
    outputs: dict[str, Tensor]
    gradients: list[Tensor | None]


class GraphedPhase:
    """A phase of a step (losses and backward), captured as CUDA graphs after `WARM_UP_STEPS`.

    Each combination of constants and shapes of inputs has a graph, as some losses are not computed in every
    batch; the `MAX_GRAPHS` that were used last are kept. Gradients keep the memory that they had at capture.

    Args:
        phase: maps tensors to tensors, and replaces the gradients of `parameters`; no other effects
            but on buffers, in place.
        parameters: whose gradients the phase computes.
        read_constants: returns the plain numbers that the phase depends on; a graph keeps their values.
    """

    def __init__(
        self, phase: Phase, parameters: Iterable[nn.Parameter], read_constants: Callable[[], Any]
    ) -> None:
        self.phase, self.read_constants = phase, read_constants
        self.parameters = list(parameters)
        self.captured: dict[Any, CapturedPhase] = {}  # by constants and shapes; the last one was used last
        self.n_calls: Counter[Any] = Counter()

    def __call__(self, inputs: Tensors) -> dict[str, Tensor]:
        """Return the results of `phase`; the next call overwrites these tensors."""
        key = (self.read_constants(), tuple(sorted((name, x.shape, x.dtype) for name, x in inputs.items())))
        self.n_calls[key] += 1
        if self.n_calls[key] <= WARM_UP_STEPS:
            return self._warm_up(inputs)
        if key not in self.captured and len(self.captured) == MAX_GRAPHS:
            del self.captured[next(iter(self.captured))]
        captured = self.captured.pop(key, None) or self._capture(inputs)
        self.captured[key] = captured
        for name, x in inputs.items():
            captured.inputs[name].copy_(x)
        for parameter, gradient in zip(self.parameters, captured.gradients, strict=True):
            parameter.grad = gradient
        captured.graph.replay()
        return captured.outputs

    def _warm_up(self, inputs: Tensors) -> dict[str, Tensor]:
        """Run the phase without a graph on a side stream, which capture requires."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            outputs = self.phase(inputs)
        torch.cuda.current_stream().wait_stream(stream)
        return outputs

    def _capture(self, inputs: Tensors) -> CapturedPhase:
        inputs = {name: x.detach().clone() for name, x in inputs.items()}
        cache_enabled = torch.is_autocast_cache_enabled()
        torch.clear_autocast_cache()  # the graph must cast the weights itself, at every replay
        torch.set_autocast_cache_enabled(False)
        try:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                outputs = self.phase(inputs)
        finally:
            torch.set_autocast_cache_enabled(cache_enabled)
        return CapturedPhase(graph, inputs, outputs, [parameter.grad for parameter in self.parameters])
