"""The tables of a recipe: what each key means, and which values it refuses."""

from __future__ import annotations

from typing import Literal

import msgspec

from tumorlens.model.card import NO_TUMOR

__all__ = [
    "AugmentationChoice",
    "DataChoice",
    "EditChoice",
    "LossChoice",
    "NetworkChoice",
    "Phase",
    "check_positive",
]


class NetworkChoice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The network and the weights that it starts from.

    Attributes:
        classes: ``no_tumor`` first; ``tumor``, or the types of tumor, after it.
        head: ``picture`` pools the features and then decides (the paper); ``cells`` decides in
            every cell at stride 8 and pools the evidence by log-sum-exp; ``deep`` does so at stride
            16, each cell on the features of strides 16 and 32 side by side.
        width: width multiplier of MobileNetV2.
        hidden: channels of the head.
        dropout: share of the head's features dropped in training.
        brain: whether the network also predicts for each cell whether it shows brain. Evidence
            outside of the brain then does not count. Not with ``picture``.
        looks: whether the network also predicts plane, sequence and skull. Not with ``picture``.
        stochastic_depth: share of residual branches dropped at the last block.
        style_mixing: parameter of the Beta distribution that the style of a picture (mean and
            deviation of each channel behind the frozen layers) is blended with another's by
            (Zhou et al. 2021, arXiv:2104.02008); 0: never. Once a phase has frozen the backbone,
            style mixing and stochastic depth stay off until training ends.
        frozen: number of the backbone's first layers (of 19) that keep their initial weights and
            batch statistics in all phases. They find edges and blobs, for which photographs are
            good enough, and they cost the most: freezing 4 layers, up to stride 4, saves a third
            of the time.
        normalization: what the initial weights expect: ``tensorflow`` x * 2 - 1, ``torchvision``
            ImageNet mean and deviation.
        padding: how the initial weights pad at stride 2: ``same`` (TensorFlow) or ``symmetric``.
    """

    classes: list[str] = msgspec.field(default_factory=lambda: [NO_TUMOR, "tumor"])
    head: Literal["picture", "cells", "deep"] = "cells"
    width: float = 1.0
    hidden: int = 96
    dropout: float = 0.2
    brain: bool = False
    looks: bool = False
    stochastic_depth: float = 0.0
    style_mixing: float = 0.0
    frozen: int = 0
    normalization: Literal["tensorflow", "torchvision"] = "torchvision"
    padding: Literal["same", "symmetric"] = "symmetric"

    def __post_init__(self) -> None:
        if len(self.classes) < 2 or self.classes[0] != NO_TUMOR:
            raise ValueError(f"network.classes must begin with {NO_TUMOR!r} and hold another class")
        if len(set(self.classes)) != len(self.classes):
            raise ValueError("network.classes holds a class twice")
        for name in ("brain", "looks"):
            if getattr(self, name) and self.head == "picture":
                raise ValueError(f"network.{name} contradicts network.head = 'picture'")
        _check_share("network.dropout", self.dropout)
        _check_share("network.stochastic_depth", self.stochastic_depth)
        check_positive("network.style_mixing", self.style_mixing)
        if not 0.1 <= self.width <= 2:
            raise ValueError(f"network.width must lie in [0.1, 2], got {self.width}")
        if not 0 <= self.frozen <= 6:
            raise ValueError(f"network.frozen must lie in [0, 6], got {self.frozen}")
        if self.hidden < 1:
            raise ValueError(f"network.hidden must be at least 1, got {self.hidden}")


class DataChoice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which rows are used, and how often each is drawn.

    Attributes:
        exclude_notes: a row whose note holds one of these words is left out.
        validation: share of the groups that are kept from training. They decide when a phase with
            patience ends, and calibration and thresholds are fitted on them.
        sampling: ``plain`` takes every row once an epoch; ``balanced`` draws label, then source
            and sequence, then group, then slice.
        class_weights: weigh the classes by the inverse of their frequency.
        ignore_below: tumor rows whose mask holds fewer pixels (at 256²) are left out.
        test: share of the images that the finished model is tested on, or their number if it is 2
            or more. It is used if the data name no test rows. 0: none.
        test_groups: the test part grows until it holds this number of groups of each label, as
            `tumorlens calibrate` needs, while at least two thirds of the images are left to train
            on. Only with ``test_by = "group"``.
        test_by: ``group`` keeps all images of a patient and all copies on one side; ``picture``
            does not, as in the paper.
    """

    exclude_notes: list[str] = []
    validation: float = 0.15
    sampling: Literal["plain", "balanced"] = "plain"
    class_weights: bool = False
    ignore_below: int = 0
    test: float = 0.0
    test_groups: int = 0
    test_by: Literal["group", "picture"] = "group"

    def __post_init__(self) -> None:
        if not 0 < self.validation < 0.9:
            raise ValueError(f"data.validation must lie in (0, 0.9), got {self.validation}")
        if not (0 <= self.test < 0.9 or (self.test >= 2 and self.test == int(self.test))):
            raise ValueError(
                f"data.test must be a share under 0.9 or a number of pictures, got {self.test}"
            )
        if self.test_groups < 0:
            raise ValueError(f"data.test_groups must not be negative, got {self.test_groups}")
        if self.sampling == "balanced" and self.class_weights:
            raise ValueError(
                "data.class_weights contradicts data.sampling = 'balanced', which draws both "
                "labels equally often; keep one of them"
            )


class AugmentationChoice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Limits of the random changes of images. Chances lie in [0, 1]; 0 turns a change off.

    Attributes:
        rotation: largest angle, in degrees.
        scale: largest change of size, as a share.
        stretch: largest change of the aspect ratio, as a share.
        shift: largest shift, as a share of the side.
        mirror: chance of a left-right flip.
        upside_down: chance of a top-bottom flip.
        gamma: largest log2 of the exponent.
        brightness, contrast: largest change, as a share of the range.
        bias_field: largest log of a smooth multiplicative field.
        noise: largest standard deviation of added noise.
        blur: chance of a lower resolution.
        invert: chance of an inverted contrast inside the head.
        erase: chance that a rectangle at the border is overwritten.
        mixup: parameter of the Beta distribution from which the share is drawn when the images of
            a batch and their labels are blended in pairs (Zhang et al. 2018, arXiv:1710.09412).
    """

    rotation: float = 0.0
    scale: float = 0.0
    stretch: float = 0.0
    shift: float = 0.0
    mirror: float = 0.0
    upside_down: float = 0.0
    gamma: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    bias_field: float = 0.0
    noise: float = 0.0
    blur: float = 0.0
    invert: float = 0.0
    erase: float = 0.0
    mixup: float = 0.0

    def __post_init__(self) -> None:
        for name in ("mirror", "upside_down", "blur", "invert", "erase"):
            _check_share(f"augmentation.{name}", getattr(self, name))
        for name in self.__struct_fields__:
            check_positive(f"augmentation.{name}", getattr(self, name))


class EditChoice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Counterfactual pairs: images edited so that the source does not predict the label.

    Attributes:
        heal: chance that a tumor on one side is covered by the mirrored other side. The slice is
            then an example without tumor.
        paste: chance that a tumor of another patient is pasted into a slice without tumor. The
            slice is then a tumor example.
        decoy: chance that a slice gets the editing artefacts of ``heal`` or ``paste`` without a
            change of label, so that the artefacts do not predict it.
        paint: chance that a synthetic tumor, of no known type, is painted into a slice without
            tumor.
        lone: chance of ``heal`` or ``paste``, in place of the values above, for slices whose
            source and sequence have one label only. Else the source would predict the label.
    """

    heal: float = 0.0
    paste: float = 0.0
    decoy: float = 0.0
    paint: float = 0.0
    lone: float = 0.0

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            _check_share(f"edits.{name}", getattr(self, name))
        for name in ("paste", "heal", "lone"):
            others = ["decoy"] if name == "heal" else ["decoy", "paint"]
            if sum(getattr(self, one) for one in (name, *others)) > 1:
                words = " + ".join(f"edits.{one}" for one in (name, *others))
                raise ValueError(f"{words} must not exceed 1")


class LossChoice(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Weights of the terms of the loss. The loss of the whole image has the weight 1.

    Attributes:
        cells: weight of the loss over cells.
        clear: weight of a cell without tumor; a cell with tumor has the weight 1.
        boxes: weight of a cell known from a box; a cell known from a mask has the weight 1.
        brain: weight of the loss over cells that are known to show brain or background.
        looks: weight of the loss over plane, sequence and skull.
        rest: weight of the loss over the part of a tumor image that lies away from its tumor: the
            evidence pooled over these cells must say that there is no tumor.
        types: weight of the loss over tumor types.
        sources: weight of the domain-adversarial loss (gradient reversal, Ganin & Lempitsky 2015,
            arXiv:1409.7495): an adversary guesses the source from the features and the label. It
            starts with new weights in each phase.
        teacher: weight of the distillation loss, against the outputs of the models given as
            teachers.
        label_smoothing: share of the label that goes to the other label.
    """

    cells: float = 0.0
    clear: float = 1.0
    boxes: float = 0.5
    brain: float = 0.0
    looks: float = 0.0
    rest: float = 0.0
    types: float = 0.0
    sources: float = 0.0
    teacher: float = 0.0
    label_smoothing: float = 0.0

    def __post_init__(self) -> None:
        _check_share("loss.label_smoothing", self.label_smoothing)
        for name in self.__struct_fields__:
            check_positive(f"loss.{name}", getattr(self, name))


class Phase(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One phase of a training.

    Attributes:
        name: e.g. ``"frozen"``.
        epochs: largest number of epochs; 0 skips the phase.
        draws: images per epoch; 0: the number of rows.
        size: side of the training images in pixels; 0: the side of the model's input. Small
            images in the first phase save time (Tan & Le 2021, arXiv:2104.00298).
        learning_rate: learning rate of the head.
        backbone_learning_rate: learning rate of the backbone; 0 freezes it. Once a phase has
            frozen it, its batch statistics stay fixed and stochastic depth stays off until
            training ends: the statistics of few images are poor.
        schedule: ``constant``, ``plateau`` (reduced when the validation loss stalls) or
            ``one_cycle`` (warm up, then fall to almost 0, over the whole phase).
        patience: epochs without a better validation loss before the phase ends; 0: never.
        plateau_patience: epochs without a better validation loss before ``plateau`` reduces the
            rate.
        plateau_factor: factor by which ``plateau`` reduces the rate.
    """

    name: str
    epochs: int
    draws: int = 0
    size: int = 0
    learning_rate: float
    backbone_learning_rate: float = 0.0
    schedule: Literal["constant", "plateau", "one_cycle"] = "constant"
    patience: int = 0
    plateau_patience: int = 3
    plateau_factor: float = 0.2

    def __post_init__(self) -> None:
        if self.epochs < 0 or self.draws < 0:
            raise ValueError(f"phase {self.name!r}: epochs and draws must not be negative")
        if self.size and (self.size < 32 or self.size % 32):
            raise ValueError(f"phase {self.name!r}: size must be a multiple of 32, got {self.size}")
        if not self.learning_rate > 0 or self.backbone_learning_rate < 0:
            raise ValueError(f"phase {self.name!r}: learning_rate must be positive")
        if self.patience < 0 or self.plateau_patience < 0 or not 0 < self.plateau_factor < 1:
            raise ValueError(
                f"phase {self.name!r}: patience and plateau_patience must not be negative, "
                "plateau_factor must lie in (0, 1)"
            )
        if self.schedule == "plateau" and 0 < self.patience <= self.plateau_patience:
            raise ValueError(
                f"phase {self.name!r}: patience = {self.patience} ends it before plateau_patience "
                f"= {self.plateau_patience} reduces the rate; patience must be larger"
            )
        if self.schedule == "one_cycle" and self.patience:
            raise ValueError(
                f"phase {self.name!r}: patience contradicts schedule = 'one_cycle', which must run "
                "to its end"
            )


def check_positive(name: str, value: float) -> None:
    """Refuse what is no number from 0 up, in the recipe's own key.

    Raises:
        ValueError: names the key and the value.
    """
    if not 0 <= value < float("inf"):
        raise ValueError(f"{name} must be a number from 0, got {value}")


def _check_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must lie in [0, 1], got {value}")
