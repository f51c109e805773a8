"""Models as teachers: what they say, what is learned of it, and which are refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tumorlens.errors import DataError
from tumorlens.model.registry import find_model
from tumorlens.model.session import Session
from tumorlens.network.heads import Raw
from tumorlens.training.learning.teaching import Teachers, distillation_loss

CLASSES = ["no_tumor", "glioma", "meningioma", "pituitary"]


@pytest.fixture(scope="module")
def images():
    return torch.rand(3, 1, 160, 160, generator=torch.Generator().manual_seed(0))


def test_a_teacher_says_what_its_model_says_of_an_image_and_its_mirror_image(images):
    session = Session(find_model("default"), threads=1)
    said, mirrored = session.run(images.numpy()), session.run(images.flip(-1).numpy().copy())
    probabilities = (said.probabilities + mirrored.probabilities) / 2
    activation = (said.activation + mirrored.activation[..., ::-1]) / 2
    outputs = Teachers(["default", "default"], CLASSES, threads=1).predict(images)
    np.testing.assert_allclose(outputs.tumor, probabilities[:, 1:].sum(1), atol=1e-6)
    np.testing.assert_allclose(outputs.types, probabilities[:, 1:], atol=1e-6)
    np.testing.assert_allclose(outputs.activation, activation, atol=1e-6)


def test_pictures_of_another_size_are_shown_at_the_teacher_s(images):
    outputs = Teachers(["default"], CLASSES, threads=1).predict(images[..., :128, :128])
    assert outputs.activation.shape[1:] == (10, 10)
    raw = Raw(torch.zeros(3, 16, 16), torch.zeros(3), torch.zeros(3, 3), torch.tensor(1.0))
    assert torch.isfinite(distillation_loss(outputs, raw))


def test_a_pupil_that_says_the_same_has_the_least_to_learn(images):
    outputs = Teachers(["default"], CLASSES, threads=1).predict(images)
    same = Raw(
        torch.logit(outputs.activation, eps=1e-7), torch.logit(outputs.tumor), outputs.types.log(),
        torch.tensor(1.0),
    )  # fmt: skip
    other = Raw(same.cells + 0.5, same.picture - 0.5, same.types.flip(1), same.sharpness)
    assert distillation_loss(outputs, same) < distillation_loss(outputs, other)


def test_a_teacher_of_other_classes_is_refused():
    with pytest.raises(DataError, match=r"expected network\.classes = no_tumor, tumor"):
        Teachers(["default"], ["no_tumor", "tumor"])
