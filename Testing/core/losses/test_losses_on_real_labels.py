"""The losses on a real parcellation into 134 structures, against dense evaluations in float64."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
import torch
import torch.nn.functional as F
from torch import Tensor

from softseg.losses import TreeCrossEntropyLoss, TreeWassersteinLoss, build_loss
from softseg.losses.cross_entropy import CrossEntropyLoss
from softseg.tree import LabelTree


@pytest.fixture(scope="module")
def brain(resources: Path) -> LabelTree:
    return LabelTree.load(resources / "LabelTrees" / "brain-134.json")


@pytest.fixture(scope="module")
def labels(shared_data: Path, brain: LabelTree) -> Tensor:
    """int64 ``[1, 1, k, j, i]``: every 13th voxel of a whole head."""
    file = sorted((shared_data / "brain" / "labels").glob("*.nii.gz"))[0]
    values = sitk.GetArrayFromImage(sitk.ReadImage(str(file)))[::13, ::13, ::13]
    return torch.from_numpy(brain.to_class_indices(values).astype(np.int64))[None, None]


@pytest.fixture(scope="module")
def scores(labels: Tensor, brain: LabelTree) -> Tensor:
    """float32 logits of a network that is half right, channels last."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(1, len(brain.leaves), *labels.shape[2:], generator=generator)
    right = F.one_hot(labels[:, 0], len(brain.leaves)).movedim(-1, 1)
    return (3 * noise + 8 * right).to(memory_format=torch.channels_last_3d)


def members(tree: LabelTree) -> Tensor:
    return torch.from_numpy(tree.membership()[1:].astype(float))


def test_cross_entropy_is_torchs(scores: Tensor, labels: Tensor, brain: LabelTree) -> None:
    values, other = scores.clone().requires_grad_(), scores.clone().requires_grad_()
    value, expected = CrossEntropyLoss(brain)(values, labels), F.cross_entropy(other, labels[:, 0])
    torch.testing.assert_close(value, expected)
    value.backward()
    expected.backward()
    torch.testing.assert_close(values.grad, other.grad)


def test_wasserstein_is_the_mean_distance(scores: Tensor, labels: Tensor, brain: LabelTree) -> None:
    probabilities = scores.double().softmax(1).flatten(2)[0]
    distance = torch.from_numpy(brain.distance_matrix(normalize=True))
    expected = (probabilities * distance[:, labels.flatten()]).sum(0).mean()
    torch.testing.assert_close(TreeWassersteinLoss(brain)(scores, labels).double(), expected, rtol=1e-5, atol=1e-7)


def test_soft_targets_are_compared_along_the_tree(scores: Tensor, labels: Tensor, brain: LabelTree) -> None:
    """Labels blurred to fractions, as resampling makes them."""
    crisp = F.one_hot(labels[:, 0], len(brain.leaves)).movedim(-1, 1).float()
    target = F.avg_pool3d(crisp, 3, stride=1, padding=1, count_include_pad=False)
    predicted = members(brain) @ scores.double().softmax(1).flatten(2)[0]
    wanted = members(brain) @ target.double().flatten(2)[0]
    transport = (predicted - wanted).abs().sum(0).mean()
    likelihood = -(wanted * predicted.log()).sum(0).mean()
    torch.testing.assert_close(
        TreeWassersteinLoss(brain, normalize=False)(scores, target).double(), transport, rtol=1e-5, atol=1e-6
    )
    torch.testing.assert_close(TreeCrossEntropyLoss(brain)(scores, target).double(), likelihood, rtol=1e-5, atol=1e-6)


def test_coarse_labels_of_a_whole_level(scores: Tensor, labels: Tensor, brain: LabelTree) -> None:
    """Voxels that are labelled with nodes of depth 3 only: cross-entropy over that cut."""
    cut = brain.cut_at(3)
    classes = torch.tensor([brain.class_index(node.id) for node in cut.nodes])
    position = torch.from_numpy(np.asarray(cut.position_of_leaf, dtype=np.int64))[labels]
    summed = torch.zeros(len(cut.nodes), labels.numel(), dtype=torch.float64)
    probabilities = scores.double().softmax(1).flatten(2)[0]
    summed.index_add_(0, torch.from_numpy(np.asarray(cut.position_of_leaf, dtype=np.int64)), probabilities)
    expected = F.nll_loss(summed.log().T, position.flatten())
    value = CrossEntropyLoss(brain)(scores, classes[position])
    torch.testing.assert_close(value.double(), expected, rtol=1e-5, atol=1e-6)


def test_descent_on_each_loss_reaches_the_labels(labels: Tensor, brain: LabelTree) -> None:
    """Free logits, moved by the gradient alone, end at the labels."""
    few = labels[..., 4:10, 5:11, 5:9]
    for specs in (
        [{"name": "wasserstein-cross-entropy"}],
        [{"name": "tree-cross-entropy"}],
        [{"name": "tree-cross-entropy", "form": "node"}],
        [{"name": "tree-wasserstein"}, {"name": "tree-cross-entropy"}],
        [{"name": "cross-entropy"}, {"name": "dice"}],
    ):
        values = torch.zeros(1, len(brain.leaves), *few.shape[2:], requires_grad=True)
        loss, optimizer = build_loss(specs, brain), torch.optim.Adam([values], lr=0.5)
        for _ in range(20):
            optimizer.zero_grad()
            loss(values, few).backward()
            optimizer.step()
        assert (values.argmax(1, keepdim=True) == few).all()
