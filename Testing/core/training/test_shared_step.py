"""What two processes exchange in a step, compared with one process that sees the whole batch."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CORE = Path(__file__).resolve().parents[3] / "core"

PROCESS = r'''
import copy
import os
import torch
from torch import nn
from softseg.errors import FollowedError, InputError
from softseg.events import Events
from softseg.losses import build_loss
from softseg.network.heads import Head
from softseg.training.batch_norm import SharedBatchNorm
from softseg.training.objective import loss_of
from softseg.training.ranks import joined_ranks
from softseg.training.shared_step import shared_loss, shared_network
from softseg.tree import LabelTree, Node

nodes = [("background", "root", 0), ("a", "root", None), ("b", "a", 1), ("c", "a", 2)]
tree = LabelTree([Node(id="root", name="root", parent=None)]
                 + [Node(id=name, name=name, parent=parent, value=value) for name, parent, value in nodes])
pair = LabelTree([Node(id="root", name="root", parent=None)]
                 + [Node(id=str(value), name=str(value), parent="root", value=value) for value in (0, 1)])
CPU = torch.device("cpu")


class Net(nn.Module):
    def __init__(self, out):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, out, 1))

    def forward(self, image):
        return self.layers(image)


def compare(ranks, tree, head, specs, soft, groups=False):
    torch.manual_seed(1)
    alone, shared = (Net(head.out_channels).double() for _ in range(2))
    shared.load_state_dict(alone.state_dict())
    image = torch.randn(3, 1, 9, 9, dtype=torch.float64) + 5 * torch.arange(3.0).view(3, 1, 1, 1)
    target = torch.rand(3, head.classes, 7, 7, dtype=torch.float64).softmax(1)
    mask = torch.rand(3, 1, 7, 7) > torch.tensor([0.1, 0.5, 1.0]).view(3, 1, 1, 1)  # nothing in the last one
    coarse = None
    if groups:
        known = mask & (torch.rand(3, 1, 7, 7) > 0.6)
        coarse, mask = torch.where(known, tree.class_index("a"), -1), mask & ~known
    target = target if soft else target.argmax(1, keepdim=True)
    loss = build_loss(specs, tree)
    whole = loss_of(loss, head, "batch", keep(alone(image)), target, mask, coarse)
    whole.backward()
    part = slice(ranks.items(3).start, ranks.items(3).stop)
    learner = shared_network(shared, ranks, CPU)
    own = shared_loss(ranks, loss, head, "batch", keep(learner(image[part])), target[part], mask[part],
                      None if coarse is None else coarse[part])
    (own * ranks.size).backward()
    torch.testing.assert_close(ranks.sum(own.detach()), whole.detach())
    for (name, one), other in zip(alone.named_parameters(), shared.parameters()):
        torch.testing.assert_close(other.grad, one.grad, msg=lambda text: f"{specs} {name}: {text}")
    for (name, one), other in zip(alone.named_buffers(), shared.buffers()):
        torch.testing.assert_close(other, one, msg=lambda text: f"{name}: {text}")


def compare_half(ranks, network):
    """Under autocast: the batch normalisation, then a whole step, against one process with the whole batch."""
    torch.manual_seed(2)
    part = slice(ranks.items(3).start, ranks.items(3).stop)
    alone = nn.BatchNorm2d(4)
    with torch.no_grad():
        alone.weight.normal_()
        alone.bias.normal_()
    shared = SharedBatchNorm(copy.deepcopy(alone))
    values = (torch.randn(3, 4, 9, 9) + 10 * torch.arange(3.0).view(3, 1, 1, 1)).bfloat16()
    pull = torch.randn(3, 4, 9, 9)
    exact, half = values.float().requires_grad_(), values[part].clone().requires_grad_()
    expected, found = alone(exact), shared(half)
    (expected * pull).sum().backward()
    (found * pull[part]).sum().backward()
    assert found.dtype == half.grad.dtype == torch.bfloat16
    assert shared.weight.grad.dtype == shared.running_var.dtype == torch.float32
    torch.testing.assert_close(found.float(), expected[part], atol=2e-2, rtol=2**-8)
    torch.testing.assert_close(half.grad.float(), exact.grad[part], atol=2e-2, rtol=2**-7)
    torch.testing.assert_close(shared.running_mean, alone.running_mean)
    torch.testing.assert_close(shared.running_var, alone.running_var)
    for own, whole in ((shared.weight, alone.weight), (shared.bias, alone.bias)):
        torch.testing.assert_close(ranks.sum(own.grad), whole.grad, atol=0.1, rtol=1e-2)  # pull is rounded on the way

    alone, head = network(3), Head("softmax", 3, 0)
    shared = copy.deepcopy(alone)
    image, target = torch.randn(3, 1, 9, 9), torch.randint(0, 3, (3, 1, 7, 7))
    loss, learner = build_loss([{"name": "wasserstein-cross-entropy"}], tree), shared_network(shared, ranks, CPU)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        all_logits, own_logits = alone(image), learner(image[part])
    assert own_logits.dtype == torch.bfloat16
    whole = loss_of(loss, head, "batch", all_logits, target, None)
    own = shared_loss(ranks, loss, head, "batch", own_logits, target[part], None)
    whole.backward()
    (own * ranks.size).backward()
    torch.testing.assert_close(ranks.sum(own.detach()), whole.detach(), atol=2e-3, rtol=2e-3)
    for one, other in zip(alone.parameters(), shared.parameters()):
        assert (other.grad - one.grad).abs().max() < 0.05 * max(one.grad.abs().max(), 0.02)


def keep(logits):
    logits.float = lambda: logits  # compare in float64: the rest is the product's own code
    return logits


def differs(ranks):
    try:
        with ranks.together():
            if ranks.rank == 1:
                raise InputError("is missing", file="image.nii.gz")
    except InputError as error:
        return ranks.main and error.file == "image.nii.gz"  # told by process 0, with all that the other knew
    except FollowedError as error:
        return ranks.rank == 1 and error.exit_code == 2


def follows(ranks):
    def work():
        raise InputError("diverged")
    try:
        ranks.from_main(work)
    except InputError:
        return ranks.main
    except FollowedError as error:
        return not ranks.main and error.exit_code == 2


with joined_ranks("cpu", Events()) as (ranks, device):
    assert (ranks.size, device) == (2, "cpu")
    assert ranks.any(ranks.rank == 1) and not ranks.any(False)
    assert ranks.from_main(lambda: (2.5, float(ranks.rank))) == (2.5, 0.0)
    softmax, normrelu = Head("softmax", 3, 0), Head("normrelu", 2, 0)
    for soft in (False, True):
        compare(ranks, tree, softmax, [{"name": "wasserstein-cross-entropy"}, {"name": "dice", "weight": 0.5}], soft)
    compare(ranks, tree, softmax, [{"name": "generalized-wasserstein-dice"}, {"name": "cross-entropy"}], False)
    compare(ranks, tree, softmax, [{"name": "tree-cross-entropy"}, {"name": "dice", "weight": 0.5}], True, groups=True)
    for reduction in ("mean", "sum"):
        compare(ranks, tree, softmax, [{"name": "adaptive-wing", "reduction": reduction}], True)
    compare(ranks, pair, normrelu, [{"name": "adaptive-wing", "weight_map": 2.0}], True)
    compare_half(ranks, Net)
    assert differs(ranks) and follows(ranks)
    os.write(1, b"process %d is content\n" % ranks.rank)  # in one piece: print ends its line separately
'''


@pytest.mark.skipif(os.name == "nt", reason="needs gloo")
def test_losses_gradients_and_statistics_are_those_of_the_whole_batch(tmp_path: Path) -> None:
    script = tmp_path / "process.py"
    script.write_text(PROCESS)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    environment = os.environ | {"PYTHONPATH": str(CORE), "OMP_NUM_THREADS": "1"}
    answer = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert answer.returncode == 0, answer.stderr
    assert {"process 0 is content", "process 1 is content"} <= set(answer.stdout.splitlines())
