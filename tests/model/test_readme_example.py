"""The training loop in the README, run as it stands there on a model that knows nothing of this project."""

import re

import torch
from torch import Tensor, nn

from helpers.paths import ROOT

README = ROOT / "README.md"


class Foreign(nn.Module):
    """Two branches, added up; a branch whose sensor is not given is left out."""

    def __init__(self) -> None:
        super().__init__()
        self.branches = nn.ModuleDict({"rgb": nn.Conv2d(3, 4, 3, padding=1), "lidar": nn.Conv2d(1, 4, 3, padding=1)})
        self.head = nn.Sequential(nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout2d(0.1), nn.Conv2d(4, 3, 1))

    def forward(self, inputs: dict[str, Tensor]) -> Tensor:
        return self.head(torch.stack([self.branches[name](x) for name, x in inputs.items()]).mean(0))


def test_the_example_has_at_most_ten_lines_and_trains_a_foreign_model() -> None:
    block = re.search(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    assert sum("regularizer" in line or "term" in line for line in block[1].splitlines()) <= 10
    torch.manual_seed(0)
    model, criterion = Foreign(), nn.CrossEntropyLoss(ignore_index=255)
    target = torch.randint(0, 3, (4, 16, 16))
    target[:, :2] = 255
    rgb = nn.functional.one_hot(target.clamp_max(2), 3).movedim(-1, 1).float()
    data = ({"rgb": rgb, "lidar": (target.clamp_max(2) / 2)[:, None] + 0.1 * torch.randn(4, 1, 16, 16)}, target)
    scope = {"model": model, "criterion": criterion, "loader": [data] * 60}
    scope["optimizer"] = torch.optim.Adam(model.parameters(), lr=0.02)
    before = float(criterion(model(data[0]), target).detach())
    exec(block[1], scope)
    assert float(criterion(model(data[0]), target).detach()) < 0.7 * before
    assert set(scope["term"].weights) == {"rgb", "lidar"}
