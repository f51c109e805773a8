"""A run of predict as a page: a study a section, with why, where, and what to open first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath

from tumorlens.digits import say_count, say_share, show_probability
from tumorlens.finding import VERDICTS, Finding
from tumorlens.landmarks import KeySlice
from tumorlens.model.card import Card, OperatingPoint
from tumorlens.report.pages import (
    Block,
    Fact,
    Facts,
    Gallery,
    Page,
    PageImage,
    Section,
    Table,
    Text,
    Tile,
)
from tumorlens.report.pictures.albums import Album, Pair, choose_shown, word_series
from tumorlens.report.predictions.study_plots import plot_slices
from tumorlens.report.tables import name_slice, word_thresholds
from tumorlens.study_finding import SeriesFinding, StudyFinding

__all__ = ["build_study_page"]

_LEAD = (
    "This page shows the verdict of each study, the reason, and the slice to open first. The heat "
    "map shows where the model sees evidence. A verdict says nothing about other diseases."
)
_LEAD_OF_PICTURES = (
    "What the model says of each picture. Heat shows where it sees evidence; a verdict says "
    "nothing of other disease."
)


def build_study_page(
    studies: Sequence[StudyFinding],
    card: Card,
    album: Album,
    *,
    points: Mapping[str, OperatingPoint] | None = None,
    command: str = "",
    versions: Mapping[str, str] | None = None,
) -> Page:
    """The page of ``tumorlens predict --report``.

    Args:
        studies: with their series, and these with the findings of their slices.
        card: of the model.
        album: pictures of the slices that are shown.
        points: ``slice``, ``series``, ``study`` -> thresholds that stand beside probabilities.
        command, versions: for the end of the page.
    """
    overview = Table(
        "Studies",
        ("study", "verdict", "tumor probability", "series", "slices", "slice to open first"),
        tuple(_row(study) for study in studies),
    )
    thresholds = tuple(
        f"Thresholds of a {level}: {word_thresholds(point)}."
        for level, point in (points or {}).items()
    )
    told = (Text(thresholds, listed=True),) if thresholds else ()
    shown = [Section("Overview", (overview, *told))] if studies else []
    sections = [
        Section(_name(study.path), tuple(_show_study(study, card, album))) for study in studies
    ]
    pictures = Section("Single pictures" if studies else "Pictures", tuple(_show_singles(album)))
    return Page(
        f"{'Studies' if studies else 'Pictures'} judged by tumorlens",
        f"{_LEAD if studies else _LEAD_OF_PICTURES} Model: {card.full_name}.",
        (*shown, pictures, *sections),
        command,
        dict(versions or {}),
    )


def _show_singles(album: Album) -> Iterator[Block]:
    """Pictures that belong to no series: those that ask for a look first."""
    if not album.counts:
        return
    counts = {
        verdict: say_count(album.counts[verdict], "picture")
        for verdict in VERDICTS
        if album.counts[verdict]
    }
    yield Facts(tuple(Fact("verdict", _word(one), (count,)) for one, count in counts.items()))
    for verdict, count in counts.items():
        pairs = album.find(album.singles[verdict])
        caption = f"{_word(verdict)}: {count}"
        if len(pairs) < album.counts[verdict]:
            caption += f", of which {len(pairs)} are shown"
        yield Gallery(caption, tuple(map(_tile, pairs)))


def _row(study: StudyFinding) -> tuple[str, ...]:
    first = study.first_slices[0] if study.first_slices else None
    return (
        _name(study.path),
        _word(study.verdict),
        _show_probability_of(study),
        str(len(study.series)),
        str(study.slices),
        "–" if first is None else _name_slice(study, first),
    )


def _show_study(study: StudyFinding, card: Card, album: Album) -> Iterator[Block]:
    yield Facts(tuple(_list_facts(study)))
    if study.notes:
        yield Text(study.notes, listed=True)
    if study.first_slices:
        asks = study.verdict in ("tumor", "uncertain")
        yield Text(("Open first:" if asks else "Slices with the strongest evidence:",))
        yield Text(
            tuple(f"{_name_slice(study, one)}: {one.reason}" for one in study.first_slices),
            listed=True,
        )
    for series in study.series:
        yield from _show_series(series, card, album, told=study.notes)


def _list_facts(study: StudyFinding) -> Iterator[Fact]:
    sequences = ", ".join(one.sequence or "unknown" for one in study.series)
    yield Fact("verdict", _word(study.verdict), (f"from {sequences}",))
    yield Fact(
        "tumor probability",
        _show_probability_of(study),
        (f"operating point {study.operating_point}",),
    )
    if study.run is not None:
        length = study.run.length_mm
        told = f"{study.run.slices} slices" if length is None else f"{length:.0f} mm"
        leading = study.series[study.leading or 0]
        several = len(study.series) > 1 and leading.sequence
        yield Fact(
            "evidence along the slices", told, (f"of the {leading.sequence}",) if several else ()
        )
    if study.not_judged_share:
        yield Fact("not judged", say_share(study.not_judged_share), ("of the slices",))


def _show_series(
    series: SeriesFinding, card: Card, album: Album, told: Sequence[str]
) -> Iterator[Block]:
    yield Text((f"Series {_name(series.path)}: {word_series(series)}.",))
    point = card.find_operating_point(series.operating_point or "balanced")
    if sum(one.error is None for one in series.findings) > 1:  # one point is no curve
        yield plot_slices(series, point)
    notes = tuple(note for note in series.notes if not _is_told(note, told))
    if notes:
        yield Text(notes, listed=True)
    seen = _compare_looks(series)
    if seen is not None:
        yield seen
    tiles = tuple(_tile(pair) for pair in album.find(choose_shown(series)))
    if tiles:
        yield Gallery(f"{_count_shown(len(tiles), series)}, without and with heat map", tiles)


def _count_shown(shown: int, series: SeriesFinding) -> str:
    if shown < series.slices:
        return f"{shown} of {series.slices:,} slices, in the order of the series"
    return "Each slice, in the order of the series"


def _is_told(note: str, told: Sequence[str]) -> bool:
    """A study repeats the notes of its series, and counts them."""
    return any(one.startswith(note) for one in told)


def _compare_looks(series: SeriesFinding) -> Table | None:
    """What the file states, and what the model recognises in most slices."""
    looks = [
        one.appearance.most_likely()
        for one in series.findings
        if one.appearance is not None and one.verdict != "not_judged"
    ]
    if not looks:
        return None
    told = {"plane": series.findings[0].info.plane, "sequence": series.findings[0].info.sequence}
    rows = []
    for question in ("plane", "sequence", "skull"):
        word, count = Counter(one[question][0] for one in looks).most_common(1)[0]
        said = told.get(question) or "not stated"
        differs = question in told and told[question] not in (None, word)
        rows.append(
            (
                question,
                said,
                f"{word} ({count} of {len(looks)} slices)",
                "differs" if differs else "",
            )
        )
    return Table(
        "What the model recognised",
        ("question", "the file states", "the model recognises", ""),
        tuple(rows),
    )


def _tile(pair: Pair) -> Tile:
    pictures = (
        PageImage(pair.plain, f"{pair.words}, without heat map", pair.size),
        PageImage(pair.heat, f"{pair.words}, with heat map", pair.size),
    )
    lines = (f"tumor probability {pair.chance}",) if pair.chance else ()
    return Tile(pair.name, pictures, lines, pair.verdict)


def _name(path: str) -> str:
    return PurePath(path).name or path


def _name_slice(study: StudyFinding, one: KeySlice) -> str:
    """The path from the folder of the study on: files of two series often share a name."""
    path, folder = PurePath(one.path), PurePath(study.path)
    file = path.relative_to(folder) if folder in path.parents else PurePath(_name(one.path))
    return name_slice(str(file), one.to_record())


def _word(verdict: str | None) -> str:
    return (verdict or "no verdict").replace("_", " ")


def _show_probability_of(found: StudyFinding | Finding) -> str:
    if found.tumor_probability is None or found.verdict in ("unfamiliar", "not_judged"):
        return "–"
    return show_probability(found.tumor_probability)
