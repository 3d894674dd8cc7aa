"""What rows an index holds, as it is written beside them."""

from dataclasses import dataclass, replace

from geoloc.errors import InputError
from geoloc.retrieval.where import Fields


@dataclass(frozen=True)
class About:
    """The length of the vectors, the fields, and the fingerprint of the model; empty: not told."""

    dim: int
    fields: Fields
    model: str = ""

    def written(self) -> dict[str, object]:
        """As plain values."""
        return {"dim": self.dim, "fields": {n: kind.__name__ for n, kind in self.fields.items()}, "model": self.model}

    def check_names(self, index: str, *taken: str) -> None:
        """InputError for a field that cannot be a column; `taken` are."""
        bad = next((name for name in self.fields if not name.isidentifier() or name in taken), None)
        if bad is not None:
            raise InputError(f"index {index}: a field {bad!r} cannot be a column; rename it")

    def agreed(self, found: object, where: str) -> "About":
        """This, with the model that was `found` if none is told; InputError where another index was found."""
        if not isinstance(found, dict) or "dim" not in found:
            raise InputError(f"{where}: what is there was not made by geoloc; give another name of collection")
        wanted, told = self.written(), str(found.get("model", ""))
        compared = ("dim", "fields", "model") if told and self.model else ("dim", "fields")
        other = next((key for key in compared if found.get(key) != wanted[key]), None)
        if other is not None:
            raise InputError(f"{where}: holds rows of {other} {found.get(other)!r}; {wanted[other]!r} was asked for")
        return replace(self, model=told or self.model)
