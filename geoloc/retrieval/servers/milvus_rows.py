"""Rows and filters as Milvus takes and gives them."""

import json
from typing import Any

import numpy as np

from geoloc.retrieval.rows import DTYPES, Found, no_answers
from geoloc.retrieval.servers.about import About
from geoloc.retrieval.servers.conditions import askable, bounds
from geoloc.retrieval.servers.outbox import Batch
from geoloc.retrieval.where import ID, Condition, Equal, Fields, Near, Where

SCORE = ""  # beside the fields of an answer, none of which is called so


def rows_of(batch: Batch, fields: Fields) -> list[dict[str, Any]]:
    """Rows as the client takes them; a number that is missing is null."""
    columns = [batch.ids.tolist(), list(batch.vectors)]
    for name, kind in fields.items():
        values = batch.rows[name].tolist()
        columns.append([value if value == value else None for value in values] if kind is float else values)
    names = [ID, "vector", *fields]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def batch_of(rows: list[Any], about: About) -> Batch:
    """Rows as the client gives them."""
    vectors = np.array([row["vector"] for row in rows], np.float32).reshape(-1, about.dim)
    fields = {}
    for name, kind in about.fields.items():
        values = [row[name] for row in rows]
        fields[name] = numbers(values) if kind is float else np.array(values, DTYPES[kind])
    return Batch(np.array([row[ID] for row in rows], np.int64), vectors, fields)


def text_of(where: Where, fields: Fields) -> str:
    """A filter in Milvus' language, with the square for a circle."""
    return " and ".join(f"({_one(condition, fields)})" for condition in where.conditions)


def _one(condition: Condition, fields: Fields) -> str:
    if isinstance(condition, Near):
        reach = condition.radius * (1 + 1e-9)
        x, y = (condition.at_x - reach, condition.at_x + reach), (condition.at_y - reach, condition.at_y + reach)
        ends = ((condition.x, x), (condition.y, y))
        return " and ".join(f"{name} >= {low!r} and {name} <= {high!r}" for name, (low, high) in ends)
    kind = int if condition.field == ID else fields[condition.field]
    if isinstance(condition, Equal):
        values = ", ".join(json.dumps(value, ensure_ascii=False) for value in askable(condition, kind))
        return f"{condition.field} in [{values}]"
    ends_of = zip((">=", "<="), bounds(condition, kind), strict=True)
    ends_text = [f"{condition.field} {sign} {end!r}" for sign, end in ends_of if end is not None]
    return " and ".join(ends_text or [f"{condition.field} is not null" if kind is float else f"{ID} >= 0"])


def within(
    answers: list[dict[str, np.ndarray]], k: int, circles: list[Near], asked: int
) -> tuple[Found, bool]:
    """The `k` best of the answers that lie in the circles, equals by id; and whether more must be asked for."""
    found, short = no_answers(len(answers), k), False
    for row, answer in enumerate(answers):
        kept = np.flatnonzero(Where(tuple(circles)).holds(answer))
        short |= len(kept) < k and len(answer[ID]) == asked and bool(circles)
        kept = kept[np.lexsort((answer[ID][kept], -answer[SCORE][kept]))][:k]
        found.ids[row, : len(kept)], found.scores[row, : len(kept)] = answer[ID][kept], answer[SCORE][kept]
    return found, short


def numbers(values: list[Any]) -> np.ndarray:
    """Numbers (M,) float, or int where all are; none: NaN."""
    if all(isinstance(value, int) for value in values):
        return np.array(values, np.int64)
    return np.array([np.nan if value is None else value for value in values], float)
