"""Training state of one seed: network, optimizer, loss and data.  B: batch size.

Sources: Charton 2022, appendix (Adam, clipping of the gradient norm); Quirke, Neo,
Barez 2024 (AdamW, and GrokFast by Lee et al. 2024 for a few models).

An update depends only on the state and the position in the data, so it is bitwise
reproducible.  On CUDA, the update is captured as a CUDA graph and replayed: at batch
size 64, launching its small kernels takes longer than running them.  Each seed has its
own CUDA stream, so the seeds of a model run concurrently.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from mathprobe.data_loader import BATCHES_PER_BLOCK, BlockLoader
from mathprobe.losses import Batch, LossFunction
from mathprobe.spec import DecoderSchedule, GrokFast, Schedule

GRADIENT_MEAN = "gradient_mean"  # key in the optimizer state of a parameter
WARMUP_UPDATES = 3  # before the capture, as in the documentation of torch.cuda.graphs
Network = TypeVar("Network", bound=nn.Module)


@dataclass(frozen=True)
class OptimizerConfig:
    """Settings of AdamW and of the gradients.  The defaults define plain Adam."""

    clip_norm: float | None = None
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0  # of every parameter
    grokfast: GrokFast | None = None


class TrainState(Generic[Network]):
    """A network in training, with its optimizer, loss and data.

    The weights are float32 at every precision of the matrix products.
    """

    def __init__(
        self,
        network: Network,
        loader: BlockLoader,
        schedule: Schedule | DecoderSchedule,
        loss_function: LossFunction,
        optimizer_config: OptimizerConfig,
        pre_update_hook: Callable[[int], None] = lambda update: None,
    ) -> None:
        """Initialise the optimizer and, on CUDA, the stream.

        `pre_update_hook` is called before each update with its number, and may change
        weights.
        """
        self.network, self.loader = network, loader
        self.schedule, self.loss_function = schedule, loss_function
        self.config, self.pre_update_hook = optimizer_config, pre_update_hook
        self.device = next(network.parameters()).device
        self._learning_rate = torch.zeros((), device=self.device)
        self._uses_graph = self.device.type == "cuda"
        self.optimizer = _adamw(
            network, self._learning_rate, optimizer_config, self._uses_graph
        )
        self.loss_sum = torch.zeros(
            loss_function.shape, dtype=torch.float64, device=self.device
        )
        self._graph_input: Batch = ()
        self._graph: torch.cuda.CUDAGraph | None = None
        self._stream = torch.cuda.Stream() if self._uses_graph else None
        if self._uses_graph:
            torch.cuda.synchronize()  # a new stream does not wait for earlier work

    def step(self, update: int) -> None:
        """Make an update, numbered from 0; on CUDA, return before it has finished."""
        number, position = divmod(update, BATCHES_PER_BLOCK)
        size = self.schedule.batch
        rows = slice(position * size, (position + 1) * size)
        with torch.cuda.stream(self._stream):
            block = self.loader.load(number)
            self._learning_rate.fill_(self.schedule.learning_rate_at(update))
            self.pre_update_hook(update)
            self._run_update(tuple(ids[rows] for ids in block))

    def _run_update(self, batch: Batch) -> None:
        if not self._uses_graph:
            self._update(batch)
            return
        if self._graph is None:
            self._graph_input = tuple(ids.clone() for ids in batch)
            self._graph = self._capture()
        for target, ids in zip(self._graph_input, batch, strict=True):
            target.copy_(ids)
        self._graph.replay()

    def _capture(self) -> torch.cuda.CUDAGraph:
        """Capture an update as a graph, and undo the updates of the warm-up."""
        saved = {name: tensor.clone() for name, tensor in self.state_dict().items()}
        with warnings.catch_warnings():
            # A capturable optimizer warns about updates outside a graph.
            warnings.simplefilter("ignore", UserWarning)
            for _ in range(WARMUP_UPDATES):
                self._update(self._graph_input)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self._stream):
            self._update(self._graph_input)
        self.load_state_dict(saved)
        return graph

    def _update(self, batch: Batch) -> None:
        self.optimizer.zero_grad()
        losses = self.loss_function(self.network, batch)
        losses.mean().backward()
        if self.config.grokfast:
            self._amplify_gradients(self.config.grokfast)
        if self.config.clip_norm:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip_norm)
        self.optimizer.step()
        self.loss_sum += losses.detach()

    def _amplify_gradients(self, grokfast: GrokFast) -> None:
        """Add `strength` times their moving average to the gradients (GrokFast).

        The average starts with the first gradient.  Without `keep_average`, it is the
        current gradient.
        """
        for parameter in self.network.parameters():
            if (gradient := parameter.grad) is None:
                continue
            state = self.optimizer.state[parameter]
            past = torch.where(state["step"] == 0, gradient, state[GRADIENT_MEAN])
            mean = torch.lerp(gradient, past, grokfast.decay)
            state[GRADIENT_MEAN].copy_(mean if grokfast.keep_average else gradient)
            gradient.add_(state[GRADIENT_MEAN], alpha=grokfast.strength)

    def synchronize(self) -> None:
        """Wait until the last update has finished."""
        if self._stream:
            self._stream.synchronize()

    def state_dict(self) -> dict[str, Tensor]:
        """Return all tensors that an update changes, by name; they are not copied."""
        tensors = {f"model.{k}": v for k, v in self.network.state_dict().items()}
        for name, parameter in self.network.named_parameters():
            for key, value in self.optimizer.state[parameter].items():
                tensors[f"adam.{key}.{name}"] = value
        return {**tensors, "loss_sum": self.loss_sum}

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Copy tensors, named as by `state_dict`, into the state in place."""
        with torch.no_grad(), torch.cuda.stream(self._stream):
            for name, target in self.state_dict().items():
                target.copy_(tensors[name])

    def pop_loss(self) -> Tensor:
        """Return the sum of the losses since the last call, on the CPU, and reset it.

        It has the shape `loss_function.shape`.
        """
        self.synchronize()
        total = self.loss_sum.cpu().clone()
        with torch.cuda.stream(self._stream):
            self.loss_sum.zero_()
        return total

    def is_finite(self) -> bool:
        """Return whether the loss and all weights are finite."""
        self.synchronize()
        tensors = [*self.network.parameters(), self.loss_sum]
        return all(bool(tensor.isfinite().all()) for tensor in tensors)


def _adamw(
    network: nn.Module, learning_rate: Tensor, config: OptimizerConfig, capturable: bool
) -> torch.optim.AdamW:
    """Build AdamW and allocate its state: a CUDA graph needs fixed addresses."""
    optimizer = torch.optim.AdamW(  # equals Adam without weight decay
        network.parameters(),
        lr=learning_rate,
        betas=config.betas,
        weight_decay=config.weight_decay,
        fused=True,
        capturable=capturable,
    )
    for parameter in network.parameters():
        optimizer.state[parameter] = {
            "step": torch.zeros((), device=parameter.device),
            "exp_avg": torch.zeros_like(parameter),
            "exp_avg_sq": torch.zeros_like(parameter),
        }
        if config.grokfast:
            optimizer.state[parameter][GRADIENT_MEAN] = torch.zeros_like(parameter)
    return optimizer
