"""The regulariser under DistributedDataParallel: two real processes, gradients reduced over both."""

from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from helpers.sensor_models import make_regularizer
from sensorproof.models import Segmenter

CHANNELS = {"camera": 3, "lidar": 1}
PROCESSES = 2
FORMS = (("single", "first_order"), ("paper", "exact"))


def gradients(rank: int, distributed: bool) -> dict[str, Tensor]:
    """Return the gradients of the plain loss and the term on a rank's own samples, from the same weights."""
    all_gradients = {}
    for variant, estimator in FORMS:
        torch.manual_seed(0)
        inner = Segmenter(CHANNELS, 3, "tiny", 8)
        model: nn.Module = DistributedDataParallel(inner) if distributed else inner
        torch.manual_seed(10 + rank)
        inputs = {name: torch.randn(4, c, 32, 32) for name, c in CHANNELS.items()}
        target = torch.randint(0, 3, (4, 32, 32))
        value = make_regularizer(variant, estimator)(model, inputs, target).value
        (nn.functional.cross_entropy(model(inputs), target) + value).backward()
        all_gradients |= {f"{variant} {n}": p.grad for n, p in inner.named_parameters() if p.grad is not None}
    return all_gradients


def run_process(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=PROCESSES)
    try:
        save_file(gradients(rank, True), f"{folder}/{rank}.safetensors")
    finally:
        dist.destroy_process_group()


def test_every_process_has_the_mean_of_all_gradients(tmp_path: Path) -> None:
    mp.spawn(run_process, (str(tmp_path),), nprocs=PROCESSES)
    reduced = [load_file(tmp_path / f"{rank}.safetensors") for rank in range(PROCESSES)]
    separate = [gradients(rank, False) for rank in range(PROCESSES)]
    assert reduced[0].keys() == separate[0].keys()
    for name, first in separate[0].items():
        torch.testing.assert_close(reduced[0][name], reduced[1][name])
        torch.testing.assert_close(reduced[0][name], (first + separate[1][name]) / 2, rtol=1e-3, atol=1e-5)
