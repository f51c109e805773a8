"""A model's card as a page: its purpose, its training data, its figures and known failures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tumorlens.digits import say_share, show_probability
from tumorlens.model.card import Card, Figure, HistoryEntry
from tumorlens.report.checklists import CLAIM, NOT_ANSWERED, TRIPOD_AI, Item, answer
from tumorlens.report.evaluations.evaluation_tables import name_figure, write_span
from tumorlens.report.evaluations.plots import Interval, plot_forests
from tumorlens.report.pages import Block, Page, Plot, Section, Table, Text, limit_rows

__all__ = ["build_card_page"]

UNKNOWN = "The card does not say."
_DRAWN = ("auc", "sensitivity", "specificity")


def build_card_page(
    card: Card,
    *,
    sha256: str = "",
    drawn: bool = True,
    command: str = "",
    versions: Mapping[str, str] | None = None,
) -> Page:
    """The page of ``tumorlens card``.

    Args:
        card: of the model.
        sha256: of the model's file.
        drawn: with a plot of its figures, which takes matplotlib.
        command, versions: for the end of the page.
    """
    sections = (
        Section("Intended use", (Text((card.intended_use or UNKNOWN,)),)),
        Section("Known failures", (Text(tuple(card.known_failures) or (UNKNOWN,), listed=True),)),
        Section("Figures", tuple(_show_figures(card, drawn))),
        Section("Model", tuple(_show_model(card, sha256))),
        Section("Data and terms", tuple(_show_data(card))),
        Section("History", tuple(_show_history(card))),
        _check("CLAIM, 2024 update", CLAIM, card),
        _check("TRIPOD+AI", TRIPOD_AI, card),
    )
    classes = ", ".join(card.classes).replace("_", " ")
    lead = f"Judges single slices of brain MRI: {classes}. Licence of the model: {card.license}."
    title = f"Model card: {card.full_name}"
    return Page(title, lead, sections, command, dict(versions or {}))


def _show_figures(card: Card, drawn: bool) -> Iterator[Block]:
    if not card.figures:
        yield Text(("No figure was measured on held-out slices.",))
        return
    if drawn:
        yield from _plot_figures(card.figures)
    rows = [
        (
            name_figure(one.name),
            f"{one.data} ({one.split})",
            f"{one.value:.3f}",
            write_span(one.low, one.high) or "none",
            f"{one.slices:,}",
            f"{one.groups:,}",
        )
        for one in card.figures
    ]
    columns = ("figure", "data (how it was kept out)", "value", "95 % interval", "slices", "groups")
    yield Table("Figures on held-out slices", columns,
                limit_rows(rows, more="the model file's card has them all"))  # fmt: skip
    commands = dict.fromkeys(one.command for one in card.figures if one.command)
    if commands:
        yield Text(tuple(f"To measure again: {command}" for command in commands))


def _plot_figures(figures: list[Figure]) -> Iterator[Plot]:
    panels = {
        name_figure(name): [
            Interval(one.data, one.value, one.low, one.high, one.split)
            for one in figures
            if one.name == name
        ]
        for name in _DRAWN
    }
    yield from plot_forests({name: lines for name, lines in panels.items() if lines})


def _show_model(card: Card, sha256: str) -> Iterator[Block]:
    spec, training = card.preprocess, card.training
    facts = {
        "name and version": card.full_name,
        "created": card.created,
        "licence": card.license,
        "classes": ", ".join(card.classes),
        "input": f"one slice, prepared to {spec.size} x {spec.size} (prepare version "
        f"{spec.version})",
        "cell threshold": f"{card.cell_threshold:g}",
        "recipe": str(training.recipe.get("name", "")),
        "made with": ", ".join(f"{name} {version}" for name, version in training.versions.items()),
        "made from": card.made_from or "",
        "started from, or taught by": "; ".join(training.learned_from),
        "SHA-256": sha256,
    }
    rows = tuple((name, value) for name, value in facts.items() if value)
    yield Table("What it is", ("", ""), rows)
    points = tuple(
        (name, *(show_probability(level) for level in (one.low, one.middle, one.high)), one.meaning)
        for name, one in card.operating_points.items()
    )
    yield Table("Operating points", ("name", "low", "middle", "high", "chosen for"), points)
    if card.parity is not None:
        compared = card.parity
        yield Text(
            (
                f"Compared with the original model, on {compared.slices:,} slices of "
                f"{compared.groups:,} groups: {say_share(compared.verdicts_equal, 2)} of the "
                f"verdicts are equal, the largest difference of a probability is "
                f"{compared.largest_difference:.2g}.",
            )
        )


def _show_data(card: Card) -> Iterator[Block]:
    training = card.training
    if training.sources:
        rows = [(name or "(none)", f"{count:,}") for name, count in training.sources.items()]
        caption = (
            f"Trained on {sum(training.sources.values()):,} slices of {training.groups:,} groups"
        )
        yield Table(caption, ("source", "slices"), limit_rows(rows, more="see the card"))
    else:
        yield Text((UNKNOWN,))
    gone = {**training.removed, **training.left_out}
    if gone:
        rows = [(why, f"{count:,}") for why, count in gone.items()]
        yield Table("Left out of training", ("what", "slices"), tuple(rows))
    if card.data_terms:
        terms = tuple((one.data, one.terms) for one in card.data_terms)
        yield Table("Terms of the data", ("data", "terms"), terms)
    if training.fingerprint:
        yield Text((f"SHA-256 of the training rows: {training.fingerprint}",))


def _show_history(card: Card) -> Iterator[Block]:
    rows = tuple(
        (one.date, one.change, f"{one.slices:,}", f"{one.groups:,}", one.data)
        for one in card.history
    )
    if rows:
        columns = ("date", "change", "slices", "groups", "data")
        yield Table("Calibrations", columns, rows)
    for one in card.history:
        if one.before:
            yield _tabulate_change(one)
        if one.notes:
            yield Text(tuple(one.notes), listed=True)


def _tabulate_change(entry: HistoryEntry) -> Table:
    after = {one.name: one for one in entry.after}
    rows = tuple(
        (name_figure(one.name).split(" (")[0], *map(_value_with_span, (one, after[one.name])))
        for one in entry.before
        if one.name in after
    )
    caption = (
        f"{entry.date}: the same slices before and after. The column after judges each group with "
        "numbers fitted on other groups"
    )
    return Table(caption, ("figure", "before", "after"), rows)


def _value_with_span(one: Figure) -> str:
    span = write_span(one.low, one.high)
    return f"{one.value:.3f} ({span})" if span else f"{one.value:.3f}"


def _check(name: str, items: tuple[Item, ...], card: Card) -> Section:
    rows = tuple((item.number, item.topic, answer(item, card)) for item in items)
    answered = sum(row[2] != NOT_ANSWERED for row in rows)
    words = (
        f"{answered} of {len(rows)} items are answered by the card; the others concern a study, "
        "or were not written down."
    )
    return Section(name, (Text((words,)), Table(name, ("item", "topic", "answer"), rows)))
