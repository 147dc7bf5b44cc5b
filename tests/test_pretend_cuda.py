"""The pretended CUDA device refuses what a GPU refuses, and nothing else."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from pretend_cuda import pretend
from torch import nn
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack

from mathprobe.studies.linalg.training import trainer


@pytest.fixture(autouse=True)
def cuda():
    with pretend() as state:
        torch.set_deterministic_debug_mode("error")
        yield state
        torch.set_deterministic_debug_mode("default")


def ones(*shape, **options):
    return torch.ones(*shape, device="cuda", **options)


def capture(function):
    """Capture a function of a tensor; return its graph and both tensors."""
    graph, x = torch.cuda.CUDAGraph(), ones(3)
    with torch.cuda.graph(graph):
        result = function(x)
    return graph, x, result


def integers(*shape):
    return ones(*shape, dtype=torch.int64)


def multiply_integers_in_inference():
    with torch.inference_mode():
        return integers(2, 2) @ integers(2, 2)


def add_to_a_gradient():
    x, host = ones(3).requires_grad_(), torch.ones(3)
    y = x * 2
    y.register_hook(lambda gradient: gradient + host)
    y.sum().backward()


def update_with_a_state_on_the_cpu():
    parameter = nn.Parameter(ones(3))
    optimizer = torch.optim.AdamW([parameter], fused=True)
    parameter.grad = ones(3)
    optimizer.state[parameter] = {
        "step": ones(()),
        "exp_avg": torch.zeros(3),
        "exp_avg_sq": torch.zeros_like(parameter),
    }
    optimizer.step()


def fork_all_generators():
    with torch.random.fork_rng():
        pass


TWO_DEVICES = {
    "a sum": lambda: ones(3) + torch.ones(3),
    "a concatenation": lambda: torch.cat([ones(3), torch.ones(3)]),
    "a network": lambda: nn.Linear(3, 3)(ones(3)),
    "a sum in place": lambda: torch.ones(3).add_(ones(3)),
    "a number in place": lambda: torch.ones(()).add_(ones(3).sum()),
    "a number as output": lambda: torch.add(ones(()), 1, out=torch.ones(())),
    "another output": lambda: torch.add(ones(3), ones(3), out=torch.ones(3)),
    "an indexed tensor": lambda: torch.ones(3)[integers(2)],
    "written values": lambda: ones(3).index_put_((integers(2),), torch.ones(2)),
    "a backward pass": add_to_a_gradient,
    "an optimizer": update_with_a_state_on_the_cpu,
}
NONDETERMINISTIC = {
    "bincount": lambda: torch.bincount(integers(3), ones(3)),
    "cumsum": lambda: ones(3).cumsum(0),
    "histc": lambda: ones(3).histc(2),
    "kthvalue": lambda: ones(3).kthvalue(1),
    "median": lambda: ones(3).median(0),
    "put_": lambda: ones(3).put_(integers(1), ones(1)),
}
PRODUCTS_OF_INTEGERS = {
    "matrices": lambda: integers(2, 2) @ integers(2, 2),
    "batches": lambda: integers(2, 2, 2) @ integers(2, 2, 2),
    "einsum": lambda: torch.einsum("ij,jk->ik", integers(2, 2), integers(2, 2)),
    "in inference": multiply_integers_in_inference,
}
GENERATORS = {
    "on the CPU": lambda: torch.rand(
        3, generator=torch.Generator().manual_seed(1), device="cuda"
    ),
    "on the GPU": lambda: torch.rand(3, generator=torch.Generator("cuda")),
    "in place": lambda: ones(3).normal_(generator=torch.Generator()),
}
ON_THE_HOST = {"numpy": lambda: ones(3).numpy(), "asarray": lambda: np.asarray(ones(3))}
WAITS = {
    "item": lambda x: x.sum().item(),
    "tolist": lambda x: x.tolist(),
    "bool": lambda x: bool((x > 0).any()),
    "equal": lambda x: torch.equal(x, x + 1),
    "nonzero": lambda x: x.nonzero(),
    "mask": lambda x: x[x > 0],
    "index on the CPU": lambda x: x[torch.arange(2)],
    "to the CPU": lambda x: x.cpu(),
    "from the CPU": lambda x: torch.ones(3).to("cuda"),
    "copy from the CPU": lambda x: x.copy_(torch.ones(3)),
    "numbers": lambda x: torch.tensor([1.0], device="cuda"),
    "synchronize": lambda x: torch.cuda.synchronize(),
    "stream": lambda x: torch.cuda.Stream().synchronize(),
    "solver": lambda x: torch.linalg.eigvalsh(x.diag()),
}
FAULTS = {
    **{("two devices", k): (v, RuntimeError) for k, v in TWO_DEVICES.items()},
    **{("deterministic", k): (v, RuntimeError) for k, v in NONDETERMINISTIC.items()},
    **{("not impl", k): (v, RuntimeError) for k, v in PRODUCTS_OF_INTEGERS.items()},
    **{("generator", k): (v, RuntimeError) for k, v in GENERATORS.items()},
    **{("numpy", k): (v, TypeError) for k, v in ON_THE_HOST.items()},
    ("devices", "fork_rng"): (fork_all_generators, (RuntimeError, UserWarning)),
}


@pytest.mark.parametrize(("message", "name"), FAULTS)
def test_a_fault_is_an_error(message, name):
    fault, error = FAULTS[message, name]
    with pytest.raises(error, match=message):
        fault()


@pytest.mark.parametrize("name", [*WAITS, "pin_memory"])
def test_a_wait_while_a_graph_is_captured_is_an_error(name):
    waits = WAITS | {"pin_memory": lambda x: torch.ones(3).pin_memory()}
    with pytest.raises(RuntimeError, match="not permitted when stream is capturing"):
        capture(waits[name])


@pytest.mark.parametrize("name", WAITS)
def test_other_waits_are_counted_with_their_lines(name, cuda):
    WAITS[name](ones(3))
    ((_, place),) = cuda.waits
    assert place.startswith(f"{__file__}:")


def test_a_wait_in_an_update_is_an_error(smoke_model):
    state = trainer(smoke_model, "cuda").train_states[1]
    loss_function = state.loss_function

    class Waiting:
        def __call__(self, network, batch):
            losses = loss_function(network, batch)
            return losses if losses.isfinite() else losses * 0

    state.loss_function = Waiting()
    with pytest.raises(RuntimeError, match="not permitted when stream is capturing"):
        state.step(0)


ALLOWED = {
    "numbers": lambda: ones(3) * 2 + torch.tensor(1.0),
    "masks": lambda: ones(3).masked_fill(ones(3) > 0, 0.0),
    "choices": lambda: torch.where(ones(3) > 0, 1.0, torch.tensor(0.0)),
    "indices": lambda: ones(3)[integers(2)],
    "written masks": lambda: ones(3).index_put_((ones(3) > 0,), ones(())),
    "pinned memory": lambda: (
        torch.ones(3).pin_memory()[:2].to("cuda", non_blocking=True)
    ),
    "pinned copies": lambda: ones(3).copy_(
        torch.ones(3, pin_memory=True), non_blocking=True
    ),
    "generators": lambda: torch.rand(
        3, generator=torch.Generator("cuda"), device="cuda"
    ),
    "products": lambda: ones(2, 2) @ ones(2, 2),
    "counts": lambda: integers(3).cumsum(0),
    "autocast": lambda: torch.autocast("cuda", torch.bfloat16)(torch.mm)(
        ones(2, 2), ones(2, 2)
    ),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_correct_code_is_allowed_and_does_not_wait(name, cuda):
    result = ALLOWED[name]()
    assert result.is_cuda
    assert result.device == torch.device("cuda", 0)
    assert not cuda.waits


def test_nondeterministic_operations_are_allowed_on_request():
    torch.set_deterministic_debug_mode("default")
    assert torch.equal(ones(3).cumsum(0).cpu(), torch.tensor([1.0, 2.0, 3.0]))


def test_autocast_computes_in_the_given_precision():
    with torch.autocast("cuda", torch.bfloat16):
        assert (ones(2, 2) @ ones(2, 2)).dtype == torch.bfloat16


def test_a_replay_repeats_the_operations_on_the_device_only():
    host = torch.zeros(3)

    def function(x):
        host.add_(1)
        x.mul_(2)
        return (x + 1).sum()

    graph, x, result = capture(function)
    assert x.tolist() == [1.0] * 3  # a capture changes nothing
    x.fill_(2.0)
    for expected in (15.0, 27.0):
        graph.replay()
        assert result.item() == expected
    assert x.tolist() == [8.0] * 3
    assert host.tolist() == [1.0] * 3


def test_tensors_of_other_threads_are_on_the_cpu():
    with ThreadPoolExecutor(1) as executor:
        x = executor.submit(lambda: torch.ones(3).pin_memory()).result()
    assert x.device.type == "cpu"
    assert x.is_pinned()
    with pytest.raises(RuntimeError, match="two devices"):
        ones(3) + x
    assert torch.equal((ones(3) + x.to("cuda")).cpu(), torch.full((3,), 2.0))


def test_everything_is_restored_at_the_end():
    def parts():
        return torch.cuda.is_available, torch.Generator, torch.Tensor.pin_memory

    before, modes = parts(), len(_get_current_dispatch_mode_stack())
    with pretend():
        assert parts() != before
    assert parts() == before
    assert len(_get_current_dispatch_mode_stack()) == modes
