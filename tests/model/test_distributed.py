"""The regulariser under DistributedDataParallel: two real processes, gradients reduced over both."""

from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from sensorproof.models import Segmenter
from sensorproof.regularization import FunctionalEntropy

CHANNELS = {"camera": 3, "lidar": 1}
WORLD = 2
KINDS = (("single", "first_order"), ("paper", "exact"))


def gradients_of_rank(rank: int, distributed: bool) -> dict[str, Tensor]:
    """Gradients of the plain loss and the term on a rank's own samples, from the same weights on every rank."""
    found = {}
    for variant, estimator in KINDS:
        torch.manual_seed(0)
        inner = Segmenter(CHANNELS, 3, "tiny", 8)
        model: nn.Module = DistributedDataParallel(inner) if distributed else inner
        torch.manual_seed(10 + rank)
        inputs = {name: torch.randn(4, c, 32, 32) for name, c in CHANNELS.items()}
        target = torch.randint(0, 3, (4, 32, 32))
        term = FunctionalEntropy(0.3, variant=variant, estimator=estimator)  # type: ignore[arg-type]
        value = term(model, inputs, target).value
        (nn.functional.cross_entropy(model(inputs), target) + value).backward()
        found |= {f"{variant} {name}": p.grad for name, p in inner.named_parameters() if p.grad is not None}
    return found


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=WORLD)
    try:
        save_file(gradients_of_rank(rank, True), f"{folder}/{rank}.safetensors")
    finally:
        dist.destroy_process_group()


def test_every_rank_has_the_mean_of_the_gradients_of_all(tmp_path: Path) -> None:
    mp.spawn(work, (str(tmp_path),), nprocs=WORLD)
    reduced = [load_file(tmp_path / f"{rank}.safetensors") for rank in range(WORLD)]
    unimodal = [gradients_of_rank(rank, False) for rank in range(WORLD)]
    assert reduced[0].keys() == unimodal[0].keys()
    for name, first in unimodal[0].items():
        torch.testing.assert_close(reduced[0][name], reduced[1][name])
        torch.testing.assert_close(reduced[0][name], (first + unimodal[1][name]) / 2, rtol=1e-3, atol=1e-5)
