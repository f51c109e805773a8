"""`Detector`: anything readable in, findings out. Glue only.

One pool of threads does all the work, each on its own core: a worker reads a picture, or prepares
a batch of slices and runs the network on it. Decoders, array arithmetic and ONNX Runtime all let go
of the interpreter's lock, so that reading overlaps the network without a hand-over between
processes. Volumes are read in the caller's thread, slice by slice, while the workers judge. A
single thread is the caller's own, without any hand-over. Results come in the order of the inputs,
and look-ahead is bounded in slices and in bytes, so that memory stays flat over
any number of files.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from threading import Lock
from time import perf_counter
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tumorlens.arguments import COUNT, OPEN_MODEL, PROVIDERS, SWITCH, TEXT, check_arguments
from tumorlens.errors import InputError, UsageError
from tumorlens.finding import Appearance, Finding, Findings, SliceInfo
from tumorlens.imaging.files.limits import DEFAULT_LIMITS, Limits, OverLimit
from tumorlens.imaging.files.sources import Source
from tumorlens.imaging.preprocess import Prepared, prepare
from tumorlens.imaging.readers import find_inputs, read_input
from tumorlens.imaging.slices import Slice
from tumorlens.model.contract import LEAST_BRAIN, LOOKS
from tumorlens.model.onnx_runtime import find_providers
from tumorlens.model.regions import find_boxes, find_peak
from tumorlens.model.registry import find_entry, find_model
from tumorlens.model.session import Outputs, Session
from tumorlens.workers import available_cores, open_workers, run_ahead

__all__ = ["Detector", "open_detector"]

Item = Slice | InputError

_SHELF_BYTES = 256 * 2**20  # pixels read ahead of the network
_BATCH_BYTES = 64 * 2**20  # pixels of one batch, whatever its number of slices
_READ_AHEAD = 2  # batches read ahead, a thread
_FIRST = 8  # slices of one file read ahead of their turn
_LIGHT_PIXELS = 4 * 2**20  # of a slice that may be read ahead of its turn


class Detector:
    """A model, loaded once, that turns inputs into findings.

    It can be sent to other processes: its model is opened there by name or path, and must have
    the same hash. Give ``threads=1`` where there is a process a core.

    Args:
        model: name of the registry, an ``.onnx`` file that honours the contract, or a session
            that is open already; its own threads and providers then stand.
        operating_point: name of one of the card's operating points.
        threads: workers; by default one for each core that this process may use.
        providers: ONNX Runtime's execution providers, in order of preference.
        batch_size: slices given to the network at once.
        limits: what one file may cost.
        mirror: judge each slice and its mirror image, and take the mean: steadier, and twice the
            time of the network.

    Raises:
        ModelFileError: the model is unknown, or its file breaks the contract.
        UsageError: no such operating point, or a number below 1.
    """

    @check_arguments(
        self=None,
        model=OPEN_MODEL,
        operating_point=TEXT,
        providers=PROVIDERS,
        batch_size=COUNT,
        mirror=SWITCH,
    )
    def __init__(
        self,
        model: str | os.PathLike[str] | Session = "default",
        *,
        operating_point: str = "balanced",
        threads: int | None = None,
        providers: Sequence[str] = ("CPUExecutionProvider",),
        batch_size: int = 8,
        limits: Limits = DEFAULT_LIMITS,
        mirror: bool = False,
    ) -> None:
        self.threads = available_cores() if threads is None else int(threads)
        self.batch_size = int(batch_size)
        self.limits = limits
        self.mirror = mirror
        self._session = model if isinstance(model, Session) else _open(_as_model(model), providers)
        self.card = self._session.card
        self.operating_point = operating_point
        self._point = self.card.find_operating_point(operating_point)
        self._tumor_columns = [self.card.classes.index(name) for name in self.card.tumor_classes]

    def __reduce__(self) -> tuple[Any, ...]:
        options = {
            name: getattr(self, name)
            for name in ("operating_point", "threads", "batch_size", "limits")
        }
        return _restore, (type(self), self._session, options)

    @property
    def name(self) -> str:
        """Name and version of the model, as records give it."""
        return self.card.full_name

    @property
    def session(self) -> Session:
        """The loaded model file: its path, hash and card."""
        return self._session

    def predict(self, x: Any, *, axes: str | None = None) -> Findings[Finding]:
        """Findings of all slices of one input, or of a list of inputs.

        Args:
            x: a path (file, folder, glob), an ndarray, a PIL image, a pydicom Dataset, a nibabel
                image, the bytes of a file, a `Slice`, or a list of these.
            axes: what the axes of arrays are, e.g. ``"DHW"`` or ``"HWD"``; see
                `tumorlens.imaging.pixels.arrays.read_array`.

        Raises:
            InputError: an input cannot be used; it names which and why.
        """
        return Findings(finding for _, finding in self.iterate(x, axes=axes))

    def iterate(
        self,
        inputs: Any,
        *,
        on_error: Literal["raise", "record"] = "raise",
        axes: str | None = None,
    ) -> Iterator[tuple[Slice | None, Finding]]:
        """Each slice with its finding, in the order of the inputs, with bounded look-ahead.

        Args:
            inputs: as `predict` takes them; also sources, and an iterator of any length.
            on_error: ``"raise"`` an `InputError` for a bad input, or ``"record"`` it as
                ``(None, Finding(error=...))`` and go on.
            axes: as `predict` takes them.
        """
        if on_error not in ("raise", "record"):
            raise UsageError(f"on_error is 'raise' or 'record', got {on_error!r}")
        return self._iterate(inputs, axes, record=on_error == "record")

    def judge(self, slices: Iterable[Slice]) -> Iterator[tuple[Slice, Finding]]:
        """Each slice with its finding, in order."""
        with open_workers(self.threads) as pool:
            for outcome in self._judge_ahead(pool, slices):
                if isinstance(outcome, InputError):
                    raise outcome
                yield outcome

    def _iterate(
        self, inputs: Any, axes: str | None, *, record: bool
    ) -> Iterator[tuple[Slice | None, Finding]]:
        with open_workers(self.threads) as pool:
            items = self._read_ahead(pool, find_inputs(inputs, self.limits), axes)
            for outcome in self._judge_ahead(pool, items):
                if not isinstance(outcome, InputError):
                    yield outcome
                elif record:
                    yield None, self._refuse(outcome)
                else:
                    raise outcome

    @property
    def _room(self) -> int:
        """Bytes of slices that wait for the network, or are with it."""
        return min(_SHELF_BYTES, self.limits.memory_bytes // 8)

    def _read_ahead(
        self, pool: ThreadPoolExecutor | None, inputs: Iterator[Any], axes: str | None
    ) -> Iterator[Item]:
        shelf = _Shelf(self._room)

        light = replace(
            self.limits, pixels_per_slice=min(_LIGHT_PIXELS, self.limits.pixels_per_slice)
        )

        def begin(x: Any) -> tuple[list[Item], Iterator[Item]]:
            if _is_light(x):
                items = read_input(x, light, axes)
                first = shelf.fill(items)
                if not any(isinstance(item, OverLimit) for item in first):
                    return first, items
                shelf.empty(first)  # read it again, in its turn
            return [], read_input(x, self.limits, axes)

        ahead = _READ_AHEAD * self.threads * self.batch_size
        for first, rest in run_ahead(pool, begin, inputs, ahead):
            shelf.empty(first)
            yield from first
            yield from rest

    def _judge_ahead(
        self, pool: ThreadPoolExecutor | None, items: Iterable[Item]
    ) -> Iterator[tuple[Slice, Finding] | InputError]:
        batches = _gather(items, self.batch_size)
        judged = run_ahead(
            pool, self._judge_batch, batches, self.threads, weigh=_weigh, room=self._room
        )
        for outcomes in judged:
            yield from outcomes

    def _judge_batch(self, batch: list[Item]) -> list[tuple[Slice, Finding] | InputError]:
        start = perf_counter()
        slices = [item for item in batch if isinstance(item, Slice)]
        prepared = [prepare(slice_, self.card.preprocess) for slice_ in slices]
        findings = iter(self._run(slices, prepared, start) if slices else ())
        return [(item, next(findings)) if isinstance(item, Slice) else item for item in batch]

    def _run(self, slices: list[Slice], prepared: list[Prepared], start: float) -> list[Finding]:
        outputs = self._run_network(np.stack([one.image for one in prepared]))
        seconds = (perf_counter() - start) / len(slices)
        return [
            self._make_finding(slice_, one, outputs, place, seconds)
            for place, (slice_, one) in enumerate(zip(slices, prepared, strict=True))
        ]

    def _run_network(self, images: npt.NDArray[np.float32]) -> Outputs:
        outputs = self._session.run(images)
        if not self.mirror:
            return outputs
        mirrored = self._session.run(np.ascontiguousarray(images[..., ::-1]))
        return outputs.averaged(mirrored.turned())

    def _make_finding(
        self, slice_: Slice, prepared: Prepared, outputs: Outputs, place: int, seconds: float
    ) -> Finding:
        probabilities, activation = outputs.probabilities[place], outputs.activation[place]
        unfamiliarity = float(outputs.unfamiliarity[place])
        size, shape = prepared.image.shape[-1], slice_.pixels.shape
        tumor = min(1.0, float(probabilities[self._tumor_columns].sum()))
        boxes = find_boxes(
            activation, self.card.cell_threshold, prepared.to_pixels, size=size, shape=shape
        )
        brain = None if outputs.brain is None else outputs.brain[place]
        share = None if brain is None else float((brain >= 0.5).mean())
        outside = None if outputs.outside is None else float(outputs.outside[place])
        shown = (share is None or share >= LEAST_BRAIN) and (outside is None or outside <= 1)
        return Finding(
            slice_.info,
            self._point.judge(tumor, unfamiliarity) if shown else "not_judged",
            tumor,
            dict(zip(self.card.classes, probabilities.tolist(), strict=True)),
            unfamiliarity,
            find_peak(activation, prepared.to_pixels, size=size, shape=shape),
            boxes if shown else (),
            operating_point=self.operating_point,
            model=self.name,
            seconds=seconds,
            brain_share=share,
            appearance=_look(outputs, place),
            outside=outside,
            activation=activation,
            to_pixels=prepared.to_pixels,
            image_size=size,
            brain=brain,
            cell_threshold=self.card.cell_threshold,
            thresholds=(self._point.low, self._point.high),
        )

    def _refuse(self, error: InputError) -> Finding:
        return Finding(
            SliceInfo(error.path),
            operating_point=self.operating_point,
            model=self.name,
            error="; ".join(filter(None, (error.reason, error.advice))),
        )


def open_detector(
    model: str | os.PathLike[str] | Detector,
    *,
    operating_point: str | None = None,
    threads: int | None = None,
    device: str | None = None,
) -> Detector:
    """The detector of a call: one that is open, or one made of a model.

    Args:
        model: name of the registry, an ``.onnx`` file, or a detector, which keeps its threads.
        operating_point: name of one of the card's operating points, by default ``balanced``.
        threads: workers; by default one for each core.
        device: ``cpu``, ``cuda`` or ``mps``, by default ``cpu``.

    Raises:
        ModelFileError: the model is unknown, or its file breaks the contract.
        UsageError: an unknown operating point or device; or a detector has another point, or is
            told a device.
    """
    if not isinstance(model, Detector):
        providers = find_providers(device or "cpu")
        point = operating_point or "balanced"
        return Detector(model, operating_point=point, threads=threads, providers=providers)
    if operating_point not in (None, model.operating_point):
        raise UsageError(
            f"the detector has the operating point {model.operating_point}, and "
            f"`operating_point=` says {operating_point}; name it when the Detector is made"
        )
    if device is not None:
        raise UsageError(
            f"`device={device}`: a Detector computes where it was opened; leave `device=` out, or "
            "give `providers=` when the Detector is made"
        )
    return model


def _restore(kind: type[Detector], session: Session, options: dict[str, Any]) -> Detector:
    return kind(session, **options)


def _open(model: str | Path, providers: Sequence[str]) -> Session:
    entry = find_entry(model)
    return Session(
        find_model(model),
        threads=1,  # of each call: two calls side by side beat one call on two cores
        providers=providers,
        sha256=None if entry is None else entry.sha256,
    )


def _look(outputs: Outputs, place: int) -> Appearance | None:
    told = {name: getattr(outputs, name) for name in LOOKS}
    if any(values is None for values in told.values()):
        return None
    return Appearance(
        **{
            name: dict(zip(LOOKS[name], values[place].tolist(), strict=True))
            for name, values in told.items()
        }
    )


def _is_light(x: Any) -> bool:
    """Whether beginning to read ``x`` ahead of its turn costs little memory."""
    return not isinstance(x, Source) or x.kind == "raster"


def _gather(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Batches of at most ``size`` items, fewer where the slices are large."""
    batch: list[Item] = []
    held = 0
    for item in items:
        batch.append(item)
        held += _size(item)
        if len(batch) == size or held >= _BATCH_BYTES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


class _Shelf:
    """Room for slices that were read ahead of their turn, bounded in bytes."""

    def __init__(self, room: int) -> None:
        self._room = room
        self._lock = Lock()

    def fill(self, items: Iterator[Item]) -> list[Item]:
        """The first few of ``items`` while there is room; the rest is read in its turn."""
        first: list[Item] = []
        while self._room > 0 and len(first) < _FIRST and (item := next(items, None)) is not None:
            first.append(item)
            self._take(_size(item))
        return first

    def empty(self, items: list[Item]) -> None:
        self._take(-_weigh(items))

    def _take(self, taken: int) -> None:
        with self._lock:
            self._room -= taken


def _size(item: Item) -> int:
    return item.pixels.nbytes if isinstance(item, Slice) else 0


def _weigh(items: Sequence[Item]) -> int:
    return sum(map(_size, items))


def _as_model(model: str | os.PathLike[str]) -> str | Path:
    return model if isinstance(model, str) else Path(model)
