"""Reporting checklists, answered as far as a model's card can answer them.

The items are those of CLAIM (Tejani et al., Checklist for Artificial Intelligence in Medical
Imaging: 2024 update, Radiology: Artificial Intelligence 6(4), 2024) and of TRIPOD+AI (Collins et
al., BMJ 385, e078378, 2024), by their numbers, each named in a few words of our own. What a card
does not hold stays unanswered: a checklist that is always full says nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from tumorlens.digits import say_count
from tumorlens.model.card import Card

__all__ = ["CLAIM", "NOT_ANSWERED", "TRIPOD_AI", "Item", "answer"]

NOT_ANSWERED = "not answered"

Answer = Callable[[Card], str]


@dataclass(frozen=True)
class Item:
    """One item: its number in the checklist, its topic, and what answers it, if anything can."""

    number: str
    topic: str
    answer: Answer | None = None


def answer(item: Item, card: Card) -> str:
    """What the card says to an item, or `NOT_ANSWERED`."""
    return (item.answer(card) if item.answer else "") or NOT_ANSWERED


def _recipe(card: Card, name: str) -> Mapping[str, object]:
    table = card.training.recipe.get(name, {})
    return table if isinstance(table, Mapping) else {}


def _kind(card: Card) -> str:
    return f"{card.full_name}: a convolutional network that judges single slices of brain MRI"


def _use(card: Card) -> str:
    return card.intended_use


def _sources(card: Card) -> str:
    sources = card.training.sources
    return f"{say_count(len(sources), 'source')}: {', '.join(sources)}" if sources else ""


def _removed(card: Card) -> str:
    counts = {**card.training.removed, **card.training.left_out}
    return "; ".join(f"left out: {why}, {n:,} slices" for why, n in counts.items())


def _prepared(card: Card) -> str:
    spec = card.preprocess
    return (
        f"tumorlens' prepare, version {spec.version}, {spec.size} x {spec.size} pixels; "
        "the same code in training and in use"
    )


def _initial(card: Card) -> str:
    learned = card.training.learned_from
    return f"started from, or taught by: {'; '.join(learned)}" if learned else ""


def _partition(card: Card) -> str:
    if not card.training.groups:
        return ""
    if _recipe(card, "data").get("test_by") == "picture":
        return "the test was drawn picture by picture: a patient may be in training and in the test"
    return f"no group on two sides of a split; {card.training.groups:,} groups in training"


def _level(card: Card) -> str:
    if not card.training.groups:
        return ""
    if _recipe(card, "data").get("test_by") == "picture":
        return "picture, not patient"
    return "group: patient, else set of copies, else file"


def _held_out(card: Card) -> str:
    sets = dict.fromkeys(f"{one.data} ({one.split})" for one in card.figures)
    return ", ".join(sets)


def _network(card: Card) -> str:
    network = _recipe(card, "network")
    width = f", width {network['width']}" if "width" in network else ""
    head = f", head {network['head']!r}" if "head" in network else ""
    return (
        f"MobileNetV2{width}{head}; one slice in, probabilities of {', '.join(card.classes)}, "
        "evidence of each cell and unfamiliarity out; the file is the full description"
    )


def _libraries(card: Card) -> str:
    return ", ".join(f"{name} {version}" for name, version in card.training.versions.items())


def _training(card: Card) -> str:
    name = card.training.recipe.get("name")
    return f"recipe {name!r}, every value of it in the card" if name else ""


def _measures(card: Card) -> str:
    return ", ".join(dict.fromkeys(one.name.replace("_", " ") for one in card.figures))


def _intervals(card: Card) -> str:
    if not any(one.low is not None for one in card.figures):
        return ""
    return "95 % intervals by bootstrap over groups; exact where no error was seen"


def _figures(card: Card) -> str:
    return f"{len(card.figures)} figures, in the table above" if card.figures else ""


def _numbers(card: Card) -> str:
    if not card.training.sources:
        return ""
    slices = sum(card.training.sources.values())
    return f"{slices:,} training slices of {card.training.groups:,} groups, by source above"


def _failures(card: Card) -> str:
    return " ".join(card.known_failures)


def _calibrated(card: Card) -> str:
    changes = [f"{one.date}: {one.change} on {one.slices:,} slices" for one in card.history]
    return "; ".join(changes)


def _thresholds(card: Card) -> str:
    return "; ".join(
        f"{name}: low {one.low:.3f}, middle {one.middle:.3f}, high {one.high:.3f}"
        + (f" ({one.meaning})" if one.meaning else "")
        for name, one in card.operating_points.items()
    )


def _terms(card: Card) -> str:
    terms = "; ".join(f"{one.data}: {one.terms}" for one in card.data_terms)
    return f"model: {card.license}" + (f"; data: {terms}" if terms else "")


def _unfamiliar(card: Card) -> str:
    return "a picture unlike the training data gets the verdict unfamiliar"


def _code(card: Card) -> str:
    return "tumorlens, Apache-2.0"


def _explained(card: Card) -> str:
    pointing = [one for one in card.figures if one.name == "pointing"]
    tested = f"; pointing game {pointing[0].value:.3f}" if pointing else "; not tested here"
    return f"evidence of each cell, drawn as a heat map{tested}"


def _imbalance(card: Card) -> str:
    sampling = _recipe(card, "data").get("sampling")
    weights = _recipe(card, "data").get("class_weights")
    return f"sampling {sampling!r}, class weights {weights}" if sampling else ""


def _augmented(card: Card) -> str:
    used = [name for name, value in _recipe(card, "augmentation").items() if value]
    names = ", ".join(used).replace("_", " ")
    return f"{_training(card)}; augmentation: {names}" if names else _training(card)


CLAIM: tuple[Item, ...] = (
    Item("1", "title: the study uses AI, and of which kind", _kind),
    Item("2", "abstract: structured summary"),
    Item("3", "background, intended use and clinical role", _use),
    Item("4", "aims and hypotheses"),
    Item("5", "prospective or retrospective"),
    Item("6", "goal of the study"),
    Item("7", "sources of the data", _sources),
    Item("8", "which cases are in and which are out", _removed),
    Item("9", "preprocessing", _prepared),
    Item("10", "choice of parts of the data", _removed),
    Item("11", "de-identification"),
    Item("12", "missing data"),
    Item("13", "how images were acquired"),
    Item("14", "definition of the reference standard"),
    Item("15", "why this reference standard"),
    Item("16", "who annotated"),
    Item("17", "annotation of the test set"),
    Item("18", "variability of annotators"),
    Item("19", "how cases were assigned to partitions", _partition),
    Item("20", "level at which partitions are disjoint", _level),
    Item("21", "intended size of the sample"),
    Item("22", "the model: inputs, outputs, layers", _network),
    Item("23", "software and versions", _libraries),
    Item("24", "initial values of the parameters", _initial),
    Item("25", "training: augmentation, hyperparameters", _augmented),
    Item("26", "choice of the final model"),
    Item("27", "ensembles"),
    Item("28", "measures of performance", _measures),
    Item("29", "uncertainty", _intervals),
    Item("30", "robustness and sensitivity analysis"),
    Item("31", "explainability", _explained),
    Item("32", "evaluation on held-out internal data", _held_out),
    Item("33", "testing on external data"),
    Item("34", "registration of a trial"),
    Item("35", "numbers in and out", _numbers),
    Item("36", "demographics of each partition"),
    Item("37", "performance with uncertainty", _figures),
    Item("38", "estimates of accuracy and their precision", _figures),
    Item("39", "analysis of failures", _failures),
    Item("40", "limitations", _failures),
    Item("41", "what it means for practice", _use),
    Item("42", "protocol or technical detail", _training),
    Item("43", "availability of software, model and data", _terms),
    Item("44", "funding"),
)
"""CLAIM 2024, its 44 items."""

TRIPOD_AI: tuple[Item, ...] = (
    Item("1", "title", _kind),
    Item("2", "abstract"),
    Item("3a", "healthcare context and rationale"),
    Item("3b", "target population and intended users", _use),
    Item("3c", "known health inequalities"),
    Item("4", "objectives"),
    Item("5a", "sources of the data", _sources),
    Item("5b", "dates of the data"),
    Item("6a", "setting and centers"),
    Item("6b", "eligibility", _removed),
    Item("6c", "treatments received"),
    Item("7", "preparation and quality of data", _prepared),
    Item("8a", "outcome and its assessment"),
    Item("8b", "who assessed the outcome"),
    Item("8c", "blinding of the assessment"),
    Item("9a", "choice of predictors"),
    Item("9b", "definition of predictors", _prepared),
    Item("9c", "assessors of predictors"),
    Item("10", "sample size"),
    Item("11", "missing data"),
    Item("12a", "how data were used: development and evaluation", _partition),
    Item("12b", "handling of predictors", _prepared),
    Item("12c", "kind of model, building, tuning, validation", _augmented),
    Item("12d", "heterogeneity between clusters"),
    Item("12e", "measures of performance", _measures),
    Item("12f", "updating of the model", _calibrated),
    Item("12g", "how predictions were computed", _network),
    Item("13", "class imbalance", _imbalance),
    Item("14", "fairness"),
    Item("15", "output and thresholds", _thresholds),
    Item("16", "differences between development and evaluation data"),
    Item("17", "ethical approval"),
    Item("18a", "funding"),
    Item("18b", "conflicts of interest"),
    Item("18c", "protocol"),
    Item("18d", "registration"),
    Item("18e", "sharing of data", _terms),
    Item("18f", "sharing of code", _code),
    Item("19", "involvement of patients and public"),
    Item("20a", "flow of participants", _removed),
    Item("20b", "characteristics of participants"),
    Item("20c", "comparison of development and evaluation"),
    Item("21", "numbers of participants and outcomes", _numbers),
    Item("22", "full specification of the model", _network),
    Item("23a", "performance with intervals", _figures),
    Item("23b", "heterogeneity of performance"),
    Item("24", "results of updating", _calibrated),
    Item("25", "interpretation, with fairness"),
    Item("26", "limitations", _failures),
    Item("27a", "poor or missing input", _unfamiliar),
    Item("27b", "interaction and expertise of users"),
    Item("27c", "next steps, applicability"),
)
"""TRIPOD+AI, its 27 items with their parts."""
