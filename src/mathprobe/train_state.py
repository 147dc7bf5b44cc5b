"""One seed of a model on its way: network, loss_function, optimizer, data.  B: batch.

Source: Charton 2022, appendix: Adam, gradients clipped in norm; Quirke, Neo, Barez
2024: AdamW, and GrokFast (Lee and others 2024) for a few models.  An update is a
function of the state and of a place in the data, so it can be made again in the same
bits.  On CUDA it is captured once and replayed, because at batch 64 its small kernels
take longer to launch one by one than to run; and every seed has a stream of its own, so
that several fill the device together.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from mathprobe.losses import Batch, LossFunction
from mathprobe.spec import DecoderSchedule, GrokFast, Schedule

BATCHES_PER_BLOCK = 64  # data is drawn in blocks; part of what fixes the result
MEAN = "gradient_mean"  # in the state of a parameter
WARM_UPS = 3  # updates that a capture needs before it, as torch's documentation says
Network = TypeVar("Network", bound=nn.Module)
BatchSource = Callable[
    [int], Batch
]  # block number -> what an loss_function reads, N rows


@dataclass(frozen=True)
class OptimizerConfig:
    """How gradients become an update; as it stands, by Adam."""

    clip_norm: float | None = None
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.0  # of every parameter
    grokfast: GrokFast | None = None


class TrainState(Generic[Network]):
    """A network that is updated; its weights are float32, whatever the precision."""

    def __init__(
        self,
        network: Network,
        batch_source: BatchSource,
        schedule: Schedule | DecoderSchedule,
        loss_function: LossFunction,
        optimizer_config: OptimizerConfig,
        pre_update_hook: Callable[[int], None] = lambda update: None,
    ) -> None:
        """Prepare; `before` is called before each update and may write weights."""
        self.network, self.batch_source, self.schedule = network, batch_source, schedule
        self.loss_function, self.optimizer_config, self.pre_update_hook = (
            loss_function,
            optimizer_config,
            pre_update_hook,
        )
        self.device = next(network.parameters()).device
        self._rate = torch.zeros((), device=self.device)
        self._captures = self.device.type == "cuda"
        self.optimizer = _adam(network, self._rate, optimizer_config, self._captures)
        self.loss_sum = torch.zeros(
            loss_function.shape, dtype=torch.float64, device=self.device
        )
        self._block: tuple[int, Batch] = (-1, ())
        self._batch: Batch = ()  # where a capture reads it
        self._graph: torch.cuda.CUDAGraph | None = None
        self._stream = torch.cuda.Stream() if self._captures else None
        self._data_stream = torch.cuda.Stream() if self._captures else None
        if self._captures:
            torch.cuda.synchronize()  # the streams do not wait for what stands above

    def step(self, update: int) -> None:
        """Make one update, counted from 0; on CUDA it may still be under way."""
        number, place = divmod(update, BATCHES_PER_BLOCK)
        block = self._fetch(number)
        rows = slice(place * self.schedule.batch, (place + 1) * self.schedule.batch)
        with torch.cuda.stream(self._stream):
            self._rate.fill_(self.schedule.learning_rate_at(update))
            self.pre_update_hook(update)
            self._make(tuple(ids[rows] for ids in block))
        after = (update + 1) // BATCHES_PER_BLOCK
        if after > number and update + 1 < self.schedule.updates:
            self._fetch(after)  # while a device is still busy with this one

    def _fetch(self, number: int) -> Batch:
        """Draw a block of data, beside the updates that are under way."""
        if self._block[0] != number:
            with torch.cuda.stream(self._data_stream):
                block = self.batch_source(number)
            if self._stream and self._data_stream:
                self._stream.wait_stream(self._data_stream)
                for ids in block:
                    ids.record_stream(self._stream)
            self._block = number, block
        return self._block[1]

    def _make(self, batch: Batch) -> None:
        if not self._captures:
            self._update(batch)
            return
        if self._graph is None:
            self._batch = tuple(ids.clone() for ids in batch)
            self._graph = self._capture()
        for place, ids in zip(self._batch, batch, strict=True):
            place.copy_(ids)
        self._graph.replay()

    def _capture(self) -> torch.cuda.CUDAGraph:
        """Record an update; what the warm-up changed is put back."""
        kept = {name: tensor.clone() for name, tensor in self.state_dict().items()}
        with warnings.catch_warnings():
            # Adam is made for a graph and warns that these updates are none.
            warnings.simplefilter("ignore", UserWarning)
            for _ in range(WARM_UPS):
                self._update(self._batch)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self._stream):
            self._update(self._batch)
        self.load_state_dict(kept)
        return graph

    def _update(self, batch: Batch) -> None:
        self.optimizer.zero_grad()
        losses = self.loss_function(self.network, batch)
        losses.mean().backward()
        if self.optimizer_config.grokfast:
            self._amplify(self.optimizer_config.grokfast)
        if self.optimizer_config.clip_norm:
            nn.utils.clip_grad_norm_(
                self.network.parameters(), self.optimizer_config.clip_norm
            )
        self.optimizer.step()
        self.loss_sum += losses.detach()

    def _amplify(self, grokfast: GrokFast) -> None:
        """Add the mean of the gradients so far, which the first one begins."""
        for parameter in self.network.parameters():
            if (gradient := parameter.grad) is None:
                continue
            state = self.optimizer.state[parameter]
            past = torch.where(state["step"] == 0, gradient, state[MEAN])
            mean = torch.lerp(gradient, past, grokfast.decay)
            state[MEAN].copy_(mean if grokfast.keep_average else gradient)
            gradient.add_(state[MEAN], alpha=grokfast.strength)

    def synchronize(self) -> None:
        """Wait until the last update is made."""
        if self._stream:
            self._stream.synchronize()

    def state_dict(self) -> dict[str, Tensor]:
        """Give everything that changes, by name, where it is."""
        found = {f"model.{k}": v for k, v in self.network.state_dict().items()}
        for name, parameter in self.network.named_parameters():
            for key, value in self.optimizer.state[parameter].items():
                found[f"adam.{key}.{name}"] = value
        return {**found, "loss_sum": self.loss_sum}

    def load_state_dict(self, tensors: dict[str, Tensor]) -> None:
        """Write tensors in the place of those of the same names."""
        with torch.no_grad(), torch.cuda.stream(self._stream):
            for name, place in self.state_dict().items():
                place.copy_(tensors[name])

    def pop_loss(self) -> Tensor:
        """Give the sums of the losses since they were last taken, and begin anew."""
        self.synchronize()
        taken = self.loss_sum.cpu().clone()
        with torch.cuda.stream(self._stream):
            self.loss_sum.zero_()
        return taken

    def is_finite(self) -> bool:
        """Tell whether the loss and every weight are finite."""
        self.synchronize()
        known = [*self.network.parameters(), self.loss_sum]
        return all(bool(tensor.isfinite().all()) for tensor in known)


def _adam(
    network: nn.Module, rate: Tensor, optimizer_config: OptimizerConfig, captured: bool
) -> torch.optim.AdamW:
    """Make an optimizer whose state has its place from the start, as a graph needs."""
    optimizer = torch.optim.AdamW(  # without decay it is Adam
        network.parameters(),
        lr=rate,
        betas=optimizer_config.betas,
        weight_decay=optimizer_config.weight_decay,
        fused=True,
        capturable=captured,
    )
    for parameter in network.parameters():
        optimizer.state[parameter] = {
            "step": torch.zeros((), device=parameter.device),
            "exp_avg": torch.zeros_like(parameter),
            "exp_avg_sq": torch.zeros_like(parameter),
        }
        if optimizer_config.grokfast:
            optimizer.state[parameter][MEAN] = torch.zeros_like(parameter)
    return optimizer
