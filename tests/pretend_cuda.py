"""A pretended CUDA device, for machines without one: CPU tensors with a label.

Inside `with pretend() as cuda:`, code that names the device "cuda" gets CPU tensors
that are labelled as tensors of a GPU.  All values are real, so results can be compared
with those of the CPU.  The following raise the error that a GPU would cause:

*   an operation on tensors of two devices, also one that writes to the other device,
*   a random number generator of another device than the tensor,
*   `numpy()` of a tensor on the GPU,
*   a matrix product of integers,
*   a nondeterministic operation, if torch is set to deterministic algorithms,
*   a wait for the GPU, or an allocation of pinned memory, while a graph is captured.

Other waits for the GPU are counted in `cuda.waits`, by operation and line.  As on a
GPU, capturing a graph changes no tensor, and a replay repeats the operations on the
GPU, but neither Python code nor operations on the CPU.  Two GPUs are pretended, because
some functions of torch use all of them by default.

Not checked: kernels, rounding and memory of a GPU, missing synchronisation of streams,
rare nondeterministic operations, and tensors that are created on the CPU by a hook of a
backward pass.  Threads that are started inside the block can use the CPU only.
"""

import sys
from collections import Counter
from contextlib import ExitStack, contextmanager, nullcontext
from functools import cache
from types import SimpleNamespace
from unittest import mock

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
MEMORY = 16 * 2**30  # bytes
# Attributes of tensors.  A tensor without a label is on the CPU.  The label None means
# that a function of torch has created the tensor for its own use, on any device.
LABEL, PINNED = "_pretended_device", "_pretended_pinned"

# Operations, by their names in torch's dispatcher.
WAIT_TAGS = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
SOLVERS = {"_linalg_check_errors", "_linalg_eigh", "_linalg_svd", "linalg_lstsq"}
PRODUCTS = {"addbmm", "addmm", "addmv", "baddbmm", "bmm", "dot", "mm", "mv"}
INDEXING = {"index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"}
ACCEPT_NUMBERS = {"fill_", "masked_fill", "masked_fill_"}
# The documentation of `torch.use_deterministic_algorithms` lists more.
NONDETERMINISTIC = {"histc", "kthvalue", "median", "nanmedian", "put_"}
COPY_NUMBERS = {"tensor", "as_tensor", "asarray"}  # functions: numbers to the device

TorchGenerator, TorchAutocast = torch.Generator, torch.autocast


def tensors_in(values):
    """Return the tensors in nested sequences and dictionaries of values."""
    if isinstance(values, Tensor):
        return [values]
    if isinstance(values, dict):
        values = values.values()
    elif not isinstance(values, list | tuple):
        return []
    found = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, list | tuple | dict):
            found += tensors_in(value)
    return found


def label(tensor):
    """Return the device of a tensor, or None for any device."""
    return getattr(tensor, LABEL, CPU)


def set_label(tensor, device):
    setattr(tensor, LABEL, device)


def set_new_labels(results, device, arguments):
    """Label the results that are not arguments and have no label yet."""
    for tensor in tensors_in(results):
        is_argument = any(tensor is one for one in arguments)
        if not is_argument and getattr(tensor, LABEL, None) is None:
            set_label(tensor, device)


def joint_device(tensors):
    """Return CUDA if a tensor is on it, else CPU; None if all are on any device."""
    devices = {label(tensor) for tensor in tensors} - {None}
    return CUDA if CUDA in devices else CPU if devices else None


def is_pinned(tensor):
    """Return whether a tensor, or the tensor that it is a view of, is pinned."""
    return any(getattr(one, PINNED, False) for one in (tensor, tensor._base))


@cache
def is_composite(func):
    """Return whether an operation consists of other operations."""
    return func._can_decompose()


@cache
def write_flags(func):
    """Return which arguments an operation writes to, by name, in their order."""
    return {
        argument.name: bool(argument.alias_info and argument.alias_info.is_write)
        for argument in func._schema.arguments
    }


def written(func, args, kwargs):
    """Return the tensors that an operation writes to."""
    flags = write_flags(func)
    values = {**dict(zip(flags, args, strict=False)), **kwargs}
    return tensors_in([value for name, value in values.items() if flags[name]])


def check_devices(name, func, args, kwargs, tensors):
    """Raise RuntimeError if an operation mixes devices in a way that CUDA refuses."""
    on_cpu = [tensor for tensor in tensors if label(tensor) == CPU]
    if name in INDEXING:
        indices = tensors_in(args[1])  # may be on the CPU
        on_cpu = [x for x in on_cpu if not any(x is index for index in indices)]
    is_elementwise = torch.Tag.pointwise in func.tags or name in ACCEPT_NUMBERS
    targets = written(func, args, kwargs) if on_cpu else []
    for tensor in on_cpu:
        is_number = not tensor.ndim and not any(tensor is one for one in targets)
        if not is_number or not (is_elementwise or name in INDEXING):
            places = [f"{label(one)} {list(one.shape)}" for one in tensors]
            raise RuntimeError(f"{func}: tensors on two devices: {', '.join(places)}")


def waits_for_device(name, func, args, kwargs):
    """Return whether an operation with a tensor on CUDA waits for the device."""
    if name == "copy_":
        host = [tensor for tensor in args[:2] if label(tensor) == CPU]
        non_blocking = [*args[2:], kwargs.get("non_blocking", False)][0]
        return bool(host) and not (non_blocking and is_pinned(host[0]))
    if name in INDEXING:
        indices = tensors_in(args[1])
        masks = [index for index in indices if index.dtype == torch.bool]
        # One number for one mask is written by `masked_fill`, without a wait.
        is_fill = len(args) > 2 and args[2].numel() == 1 and len(indices) == 1
        on_cpu = any(label(index) == CPU for index in indices)
        return on_cpu or (bool(masks) and not is_fill)
    return bool(WAIT_TAGS & set(func.tags)) or name in SOLVERS


def check_kernel(name, func, args):
    """Raise RuntimeError for an operation that is missing or nondeterministic."""
    if name in PRODUCTS:
        dtype = args[0].dtype
        if not (dtype.is_floating_point or dtype.is_complex):
            raise RuntimeError(f"{func}: not implemented on CUDA for {dtype}")
    has_weights = name == "bincount" and len(args) > 1 and args[1] is not None
    is_float_sum = name in ("cumsum", "cumsum_") and args[0].is_floating_point()
    if torch.are_deterministic_algorithms_enabled() and (
        has_weights or is_float_sum or name in NONDETERMINISTIC
    ):
        raise RuntimeError(f"{func} does not have a deterministic implementation")


class Operations(TorchDispatchMode):
    """Check the operations that reach a kernel, also those of backward passes."""

    def __init__(self, cuda):
        super().__init__()
        self.cuda = cuda

    @classmethod
    def _should_skip_dynamo(cls):
        return False  # otherwise, torch loads its compiler

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if is_composite(func):  # in inference mode, torch has not done this yet
            with self:
                return func.decompose(*args, **kwargs)
        name, tensors = func._overloadpacket.__name__, tensors_in((args, kwargs))
        device = joint_device(tensors)
        if device == CUDA:
            if name != "copy_":
                check_devices(name, func, args, kwargs, tensors)
            check_kernel(name, func, args)
            if waits_for_device(name, func, args, kwargs):
                self.cuda.wait(name)
        graph = self.cuda.graph if device != CPU else None
        if graph:
            graph.save(written(func, args, kwargs))
        results = func(*args, **kwargs)
        for tensor in tensors_in(results):
            if not any(tensor is one for one in tensors):
                set_label(tensor, device)
        if graph:
            graph.operations.append((func, args, kwargs, results))
        return results


class Calls(TorchFunctionMode):
    """Translate the calls that name a device."""

    def __init__(self, cuda):
        super().__init__()
        self.cuda = cuda

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs, name = dict(kwargs or {}), getattr(func, "__name__", "")
        if name in ("__get__", "__set__"):
            return self.attribute(
                func, name + getattr(func.__self__, "__name__", ""), args
            )
        if name in ("to", "cuda", "cpu") and isinstance(args[0], Tensor):
            return self.move(name, *args, **kwargs)
        tensors = tensors_in((args, kwargs))
        requested, pinned = kwargs.pop("device", None), kwargs.pop("pin_memory", False)
        device = joint_device(tensors) or CPU
        if requested is not None:
            device = CUDA if torch.device(requested).type == "cuda" else CPU
        self.check(name, device, kwargs.get("generator"))
        results = func(*args, **kwargs)
        for tensor in tensors_in(results) if requested is not None else ():
            set_label(tensor, device)
        set_new_labels(results, device, tensors)
        return pin(results) if pinned else results

    def check(self, name, device, generator):
        """Check a call whose results are on a device."""
        place = getattr(generator, "device", device)
        if place != device:
            raise RuntimeError(f"{name}: a generator on {place}, but data on {device}")
        if device == CUDA:
            if name in ("numpy", "__array__"):
                raise TypeError("can't convert a cuda tensor to numpy")
            if name in ("tolist", *COPY_NUMBERS):
                self.cuda.wait(name)

    def attribute(self, func, name, args):
        """Read or write an attribute of a tensor; `name` is __get__ and its name."""
        device = label(args[0]) or CPU
        if name == "__get__device":
            return device
        if name in ("__get__is_cuda", "__get__is_cpu"):
            return name == f"__get__is_{device.type}"
        results = func(*args)
        if name == "__set__data":
            set_label(args[0], label(args[1]))
        set_new_labels(results, device, args)
        return results

    def move(self, name, x, *args, device=None, dtype=None, **kwargs):
        """Copy a tensor to a device, as `x.to`, `x.cuda` or `x.cpu`."""
        for value in args if name == "to" else ():
            if isinstance(value, Tensor):
                device, dtype = label(value), value.dtype
            elif isinstance(value, torch.dtype):
                dtype = value
            elif isinstance(value, str | torch.device):
                device = value
        device = name if name != "to" else device
        before = label(x)
        after = before
        if device is not None:
            after = CUDA if torch.device(device).type == "cuda" else CPU
        converted = x if dtype is None else x.to(dtype)
        is_queued = before == CPU and kwargs.get("non_blocking") and is_pinned(x)
        if after != before and not is_queued:
            self.cuda.wait(f"copy to {after}")
        if converted is x and (after != before or kwargs.get("copy")):
            converted = x.clone()
        set_label(converted, after)
        return converted


class Generator(TorchGenerator):
    """A random number generator of the CPU, with the label of its device."""

    def __new__(cls, device="cpu"):
        generator = super().__new__(cls, "cpu")
        generator.label = CUDA if torch.device(device).type == "cuda" else CPU
        return generator

    device = property(lambda self: self.label)


class Graph:
    """Captured operations.  A replay writes each result where it was written before."""

    def __init__(self):
        self.operations, self.saved = [], []

    def save(self, tensors):
        """Save tensors before an operation of the capture writes to them."""
        self.saved += [(tensor, tensor.clone()) for tensor in tensors]

    def restore(self):
        """Undo all writes at the end of the capture."""
        for tensor, value in reversed(self.saved):
            tensor.copy_(value)
        self.saved = []

    def replay(self):
        with without_checks(), torch._C._AutoDispatchBelowAutograd():
            for func, args, kwargs, results in self.operations:
                new = func(*args, **kwargs)
                if any(one.alias_info for one in func._schema.returns):
                    continue  # a view, or an argument that the operation has changed
                for old, value in zip(
                    tensors_in(results), tensors_in(new), strict=True
                ):
                    old.copy_(value)


def pin(tensor):
    setattr(tensor, PINNED, True)
    return tensor


class Cuda:
    """State of the pretended device: waits so far, and the graph that is captured."""

    def __init__(self):
        self.waits, self.graph = Counter(), None

    def wait(self, what):
        """Count a wait for the device; raise RuntimeError while a graph is captured."""
        if self.graph:
            raise RuntimeError(f"{what}: not permitted when stream is capturing")
        frame = sys._getframe(1)
        while frame and (
            "/torch/" in (file := frame.f_code.co_filename) or file == __file__
        ):
            frame = frame.f_back
        self.waits[what, frame and f"{frame.f_code.co_filename}:{frame.f_lineno}"] += 1

    @contextmanager
    def capture(self, graph, **options):
        """Replace `torch.cuda.graph`."""
        self.graph = graph
        try:
            yield
        finally:
            self.graph = None
            with without_checks(), torch.no_grad():
                graph.restore()

    def pin_memory(self, tensor, device=None):
        """Replace `Tensor.pin_memory`; other threads call it, too."""
        if self.graph:
            raise RuntimeError("pin_memory: not permitted when stream is capturing")
        return pin(tensor.clone())

    def stream(self, *args, **kwargs):
        """Replace `torch.cuda.Stream`; operations are always executed in order."""
        return SimpleNamespace(
            synchronize=lambda: self.wait("stream.synchronize"),
            wait_stream=lambda other: None,
            wait_event=lambda event: None,
            record_event=lambda event=None: event or self.event(),
            query=lambda: True,
        )

    def event(self, *args, **kwargs):
        """Replace `torch.cuda.Event`."""
        return SimpleNamespace(
            record=lambda stream=None: None,
            synchronize=lambda: self.wait("event.synchronize"),
            query=lambda: True,
        )

    @property
    def replacements(self):
        """Return the parts of torch that are replaced, by name."""
        properties = SimpleNamespace(
            name="pretended",
            uuid="pretended",
            total_memory=MEMORY,
            multi_processor_count=1,
            major=8,
            minor=0,
        )
        cuda = {
            "is_available": lambda: True,
            "device_count": lambda: 2,
            "current_device": lambda: 0,
            "get_device_name": lambda device=None: properties.name,
            "get_device_properties": lambda device=None: properties,
            "mem_get_info": lambda device=None: (MEMORY, MEMORY),
            "synchronize": lambda device=None: self.wait("synchronize"),
            "empty_cache": lambda: None,
            "get_rng_state": refuse_all_devices,
            "is_current_stream_capturing": lambda: self.graph is not None,
            "Stream": self.stream,
            "Event": self.event,
            "stream": lambda stream: nullcontext(),
            "current_stream": self.stream,
            "CUDAGraph": Graph,
            "graph": self.capture,
        }
        return {
            **{f"torch.cuda.{name}": value for name, value in cuda.items()},
            # As in builds without CUDA; in others, optimizers would ask for a stream.
            "torch.accelerator.current_accelerator": lambda **options: None,
            "torch.Generator": Generator,
            "torch.autocast": lambda device, *args, **kwargs: TorchAutocast(
                "cpu", *args, **kwargs
            ),
            "torch.Tensor.pin_memory": lambda *args: self.pin_memory(*args),
            "torch.Tensor.is_pinned": lambda tensor: is_pinned(tensor),
            "torch.Tensor.record_stream": lambda tensor, stream: None,
            "torch._C._group_tensors_by_device_and_dtype": group_tensors,
        }


def refuse_all_devices(device):
    """Replace `torch.cuda.get_rng_state`."""
    raise RuntimeError(
        "random state of all GPUs: pass devices=[] to torch.random.fork_rng"
    )


group_on_one_device = torch._C._group_tensors_by_device_and_dtype


def group_tensors(lists, *args):
    """Group tensors of an optimizer, which are on one device, by device and dtype."""
    groups = group_on_one_device(lists, *args).items()
    return {(label(value[0][0][0]), dtype): value for (_, dtype), value in groups}


# Inside this context, which is faster, all tensors must be on the CPU.
without_checks = _disable_current_modes


@contextmanager
def pretend():
    """Pretend that there is a CUDA device; yield its state."""
    cuda = Cuda()
    with ExitStack() as stack:
        for name, value in cuda.replacements.items():
            stack.enter_context(mock.patch(name, value))
        stack.enter_context(Calls(cuda))
        stack.enter_context(Operations(cuda))
        yield cuda
