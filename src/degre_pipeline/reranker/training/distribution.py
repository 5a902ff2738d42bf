"""Several processes that train one model: who this one is, and what all of them know together.

Without a process group every function answers for the one process that there is.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel


def rank() -> int:
    """Returns the number of this process; the first one, 0, writes for all."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def world_size() -> int:
    """Returns the number of processes."""
    return distributed.get_world_size() if distributed.is_initialized() else 1


def own_gpu() -> torch.device:
    """Returns the GPU of this process: the one of its place on this machine."""
    return torch.device("cuda", int(os.environ["LOCAL_RANK"])) if world_size() > 1 else torch.device("cuda")


def replicated(model: nn.Module, device: torch.device) -> nn.Module:
    """Returns the model with gradients that are means over the processes."""
    if world_size() == 1:
        return model
    devices = [device] if device.type == "cuda" else None
    return DistributedDataParallel(model, device_ids=devices, gradient_as_bucket_view=True)


@contextmanager
def gradients_exchanged(model: nn.Module, now: bool) -> Iterator[None]:
    """Leaves the gradients of the backward passes inside to each process, unless they are exchanged now."""
    if now or not isinstance(model, DistributedDataParallel):
        yield
    else:
        with model.no_sync():
            yield


def gathered(tensor: Tensor) -> Tensor:
    """Returns the tensors of all processes on the CPU, [processes, ...], in order; shapes must be equal."""
    own = tensor.detach().cpu().contiguous()
    if world_size() == 1:
        return own[None]
    parts = [torch.empty_like(own) for _ in range(world_size())]
    distributed.all_gather(parts, own)
    return torch.stack(parts)


def summed(value: float) -> float:
    """Returns the sum over the processes, added in the order of their numbers: the same on each of them."""
    return float(gathered(torch.tensor(value, dtype=torch.float64)).sum())


def from_first(content: bytes) -> bytes:
    """Returns the first process's bytes on every process."""
    if world_size() == 1:
        return content
    length = torch.tensor(len(content))
    distributed.broadcast(length, 0)
    carrier = torch.zeros(int(length), dtype=torch.uint8)
    if rank() == 0 and content:
        carrier = torch.frombuffer(bytearray(content), dtype=torch.uint8)
    distributed.broadcast(carrier, 0)
    return carrier.numpy().tobytes()
