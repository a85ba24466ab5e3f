"""How a training step is computed on a device: the same losses and gradients, at less cost."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from cyclegan_audio.utils.errors import UserError

AUTO = "auto"
SCALED = "16-mixed"  # Lightning's name of the precision in which a scaler multiplies losses
TENSOR_CORES = (7, 0)  # the compute capability from which half precision convolutions want channels-last
WARM_UP = 3  # steps before a CUDA graph is captured, in which libraries choose their kernels

Tensors = Mapping[str, Tensor]
Phase = Callable[[Tensors], dict[str, Tensor]]


@dataclass(frozen=True)
class Acceleration:
    """Ways to compute a step; each is True, False, or `auto`: what pays on the device at hand.

    On Apple's MPS `auto` is False for all, on a CPU for all but joint forwards. On CUDA it is True for joint
    forwards; without loss scaling for the fused optimiser; and in half precision on tensor cores for
    channels-last. Graphs wait for a `true` until they have run on a GPU.

    Attributes:
        joint_forwards: real and identity inputs, or real and fake ones, go through a network in one forward.
        channels_last: memory format of the networks' weights, which their activations follow.
        fused_optimizer: one kernel updates all parameters, where the optimiser has that.
        cuda_graphs: replay each phase of a step as one graph; elsewhere than on CUDA without effect.
        compile: the networks by `torch.compile`, in place.
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
                raise UserError(f"acceleration.{field.name}={value} is not known; choose true, false or auto")

    def resolve(self, device: torch.device, precision: str = "32-true") -> "Acceleration":
        """Every `auto` settled for `device`; `precision` as Lightning names it."""
        cuda, scaled = device.type == "cuda", precision == SCALED
        half = precision != "32-true"
        defaults = {
            "joint_forwards": cuda or device.type == "cpu",
            "channels_last": cuda and half and torch.cuda.get_device_capability(device) >= TENSOR_CORES,
            "fused_optimizer": cuda and not scaled,  # the scaler needs a look at the gradients in between
            "cuda_graphs": False,
            "compile": False,
        }
        chosen = {name: getattr(self, name) for name in defaults}
        settled = {name: defaults[name] if value == AUTO else value for name, value in chosen.items()}
        settled["cuda_graphs"] = bool(settled["cuda_graphs"]) and cuda
        return Acceleration(**settled)

    def prepare(self, networks: Iterable[nn.Module]) -> None:
        """Bring networks into the chosen memory format, and compile them in place."""
        for network in networks:
            if self.channels_last is True:
                network.to(memory_format=torch.channels_last)
            if self.compile is True:
                network.compile()

    def optimizer(self, make: Callable[..., Optimizer], parameters: list[nn.Parameter]) -> Optimizer:
        """An optimiser of `parameters`, fused where that is chosen and the optimiser can."""
        can = "fused" in inspect.signature(make).parameters
        return make(parameters, **({"fused": True} if self.fused_optimizer is True and can else {}))

    def batched_forward(self, network: nn.Module, *inputs: Tensor) -> list[Tensor]:
        """`network` of each input (B, ...). Jointly only where it treats the samples of a batch alone."""
        if self.joint_forwards is not True or len({x.shape[1:] for x in inputs}) > 1:
            return [network(x) for x in inputs]
        return list(network(torch.cat(inputs)).split([len(x) for x in inputs]))


class GraphedPhase:
    """A phase of the step (losses and backward) as a CUDA graph, captured after some steps.

    Gradients stay in the places that they had at capture. After a change of the inputs' shapes or of `key()`
    the phase is captured anew, with as many steps without a graph before.

    Args:
        phase: from tensors to tensors; sets the gradients of `parameters` anew and has no other effect.
        parameters: whose gradients it computes.
        key: the plain numbers that the phase depends on, which a graph keeps as they were at capture.
    """

    def __init__(self, phase: Phase, parameters: Iterable[nn.Parameter], key: Callable[[], Any]) -> None:
        self.phase, self.numbers = phase, key
        self.parameters = list(parameters)
        self.graph: torch.cuda.CUDAGraph | None = None
        self.key: Any = None  # of the graph: numbers and shapes
        self.inputs: dict[str, Tensor] = {}
        self.outputs: dict[str, Tensor] = {}
        self.gradients: list[Tensor | None] = []
        self.seen = 0

    def __call__(self, inputs: Tensors) -> dict[str, Tensor]:
        """What `phase` gives; the tensors are overwritten by the next call."""
        key = (self.numbers(), tuple(sorted((name, x.shape, x.dtype) for name, x in inputs.items())))
        if key != self.key:
            self.key, self.graph, self.seen = key, None, 0
        self.seen += 1
        if self.seen <= WARM_UP:
            return self._warm_up(inputs)
        if self.graph is None:
            self._capture(inputs)
        assert self.graph is not None
        for name, x in inputs.items():
            self.inputs[name].copy_(x)
        for parameter, gradient in zip(self.parameters, self.gradients, strict=True):
            parameter.grad = gradient
        self.graph.replay()
        return self.outputs

    def _warm_up(self, inputs: Tensors) -> dict[str, Tensor]:
        """Without a graph, on a stream of its own as capture asks for."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            outputs = self.phase(inputs)
        torch.cuda.current_stream().wait_stream(stream)
        return outputs

    def _capture(self, inputs: Tensors) -> None:
        self.inputs = {name: x.detach().clone() for name, x in inputs.items()}
        cached = torch.is_autocast_cache_enabled()
        torch.clear_autocast_cache()  # the graph must cast the weights itself, each time
        torch.set_autocast_cache_enabled(False)
        try:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self.outputs = self.phase(self.inputs)
        finally:
            torch.set_autocast_cache_enabled(cached)
        self.graph = graph
        self.gradients = [parameter.grad for parameter in self.parameters]
