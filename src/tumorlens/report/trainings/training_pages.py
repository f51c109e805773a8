"""A training as a page: its learning curves, what it was made of, the figures of its test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tumorlens.digits import say_count
from tumorlens.report.pages import Block, Page, Section, Table, Text, limit_rows
from tumorlens.report.trainings.learning_plots import plot_learning

__all__ = ["build_training_page"]


def build_training_page(
    runs: Mapping[str, Path],
    described: Mapping[str, Any],
    *,
    test: Sequence[Section] = (),
    copies: int = 0,
    unfamiliar: str = "",
    command: str = "",
    versions: Mapping[str, str] | None = None,
) -> Page:
    """The page of ``tumorlens train``.

    Args:
        runs: what a run is called -> its ``curves.csv``; one each fold.
        described: recipe and data of the first run, as its ``run.json`` has them.
        test: sections of the evaluation of the test rows; empty if there are none.
        copies: test pictures that have a copy in training.
        unfamiliar: what to know if the model calls too many of them unfamiliar.
        command, versions: for the end of the page.
    """
    recipe, data = described["recipe"], described["data"]
    lead = (
        f"{recipe.get('summary', '')} {data['slices']:,} slices of {data['groups']:,} groups from "
        f"{say_count(len(data['sources']), 'source')}."
    )
    warnings = [unfamiliar] if unfamiliar else []
    if copies:
        warnings.append(f"{copies:,} of the test pictures had a copy or a patient in training.")
    warned = (
        (Section("Before you believe a figure", (Text(tuple(warnings), listed=True),)),)
        if warnings
        else ()
    )
    if not test:
        note = "Nothing was measured on a test, because no rows were kept for it."
        test = [Section("Test pictures", (Text((note,)),))]
    curves = [plot_learning(file, name) for name, file in runs.items() if file.is_file()]
    sections = (
        *warned,
        *((Section("Learning curves", tuple(curves)),) if curves else ()),
        *test,
        Section("Data", tuple(_show_data(data))),
        Section("Recipe", (Table("Recipe as used", ("key", "value"), _flatten(recipe)),)),
    )
    title = f"Training by the recipe {recipe.get('name', '')}"
    return Page(title, lead.strip(), sections, command, dict(versions or {}))


def _show_data(data: Mapping[str, Any]) -> Iterator[Block]:
    for key, caption, column in (
        ("sources", "Sources", "source"),
        ("removed", "Removed before training", "reason"),
        ("left_out", "Left out on request", "what"),
    ):
        rows = [(name or "(none)", f"{count:,}") for name, count in data.get(key, {}).items()]
        if rows:
            yield Table(caption, (column, "slices"), limit_rows(rows, more="run.json has them all"))
    yield Text((f"SHA-256 of the rows: {data['fingerprint']}",))


def _flatten(values: Any, prefix: str = "") -> tuple[tuple[str, str], ...]:
    """``{"loss": {"cells": 1}}`` as ``(("loss.cells", "1"),)``."""
    if not isinstance(values, Mapping):
        return ((prefix, str(values)),)
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}.{key}" if prefix else str(key)
        if isinstance(value, list) and value and isinstance(value[0], Mapping):
            for number, one in enumerate(value, 1):
                rows += _flatten(one, f"{name} {number}")
        elif isinstance(value, Mapping) and value:
            rows += _flatten(value, name)
        else:
            text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            rows.append((name, text if value not in ({}, [], "") else "–"))
    return tuple(rows)
