"""What PostgreSQL is asked: statements and filters in SQL."""

import json
from collections.abc import Iterator
from typing import Any

from geoloc.retrieval.servers.about import About
from geoloc.retrieval.servers.conditions import askable, bounds
from geoloc.retrieval.where import ID, Between, Condition, Equal, Where

COLUMNS = {int: "bigint", float: "double precision", str: "text"}
TYPES = {int: "int8", float: "float8", str: "text"}  # as COPY names them
# fields that get an index where the rows have them
SORTED = (("site",), ("camera",), ("time",), ("label",), ("color",), ("track",), ("object",), ("x", "y"))
ROW = 1500  # numbers of a vector that fits into a page with all else of its row
EXACT = (  # adding zero keeps it from being read off the graph
    "WITH q AS (SELECT %s::vector AS q) SELECT id, -(vector <#> q) FROM {table}, q WHERE {condition} "
    "ORDER BY (vector <#> q) + 0, id LIMIT %s"
)
GRAPH = (
    "WITH near AS MATERIALIZED (SELECT id, vector <#> %s AS far FROM {table} WHERE {condition} ORDER BY far LIMIT %s) "
    "SELECT id, -far FROM near ORDER BY far + 0, id"
)


class Language:
    """Statements on one table; `sql` is psycopg's module of that name."""

    def __init__(self, sql: Any, name: str, about: About) -> None:
        self.sql, self.about = sql, about
        self.table, self.graph_name = sql.Identifier(name), sql.Identifier(f"{name}_graph")

    def text(self, text: str, **parts: Any) -> Any:
        """A statement with the table's name, and further parts, put in."""
        return self.sql.SQL(text).format(table=self.table, **parts)

    def names(self) -> Any:
        """The columns, in the order of the fields."""
        return self.sql.SQL(", ").join(map(self.sql.Identifier, [ID, "vector", *self.about.fields]))

    def making(self) -> Iterator[Any]:
        """What makes the table."""
        sql = self.sql
        yield sql.SQL("CREATE EXTENSION IF NOT EXISTS vector")
        columns = [sql.SQL("id bigint PRIMARY KEY, vector vector({}) NOT NULL").format(sql.Literal(self.about.dim))]
        for name, kind in self.about.fields.items():
            rest = COLUMNS[kind] + ("" if kind is float else " NOT NULL")
            columns.append(sql.SQL("{} " + rest).format(sql.Identifier(name)))
        yield self.text("CREATE TABLE {table} ({columns})", columns=sql.SQL(", ").join(columns))
        # compressing vectors costs more than it saves, and so does moving them out of a row that fits into a page
        storage = "PLAIN" if self.about.dim <= ROW else "EXTERNAL"
        yield self.text("ALTER TABLE {table} ALTER vector SET STORAGE " + storage)
        for names in SORTED:
            if set(names) <= set(self.about.fields):
                some = sql.SQL(", ").join(map(sql.Identifier, names))
                yield self.text("CREATE INDEX ON {table} ({names})", names=some)
        yield self.text("COMMENT ON TABLE {table} IS {about}", about=sql.Literal(json.dumps(self.about.written())))

    def graph(self, m: int, ef_construction: int) -> Any:
        """What makes the graph, if there is none."""
        sql = self.sql
        parts = {"m": sql.Literal(m), "ef": sql.Literal(ef_construction), "graph": self.graph_name}
        text = "CREATE INDEX IF NOT EXISTS {graph} ON {table} USING hnsw (vector vector_ip_ops) "
        return self.text(text + "WITH (m = {m}, ef_construction = {ef})", **parts)

    def condition(self, where: Where) -> tuple[Any, list[Any]]:
        """A filter as SQL, and the values that go with it."""
        texts, values = [self.sql.SQL("true")], []
        for condition in where.conditions:
            text, some = self._one(condition)
            texts.append(text)
            values += some
        return self.sql.SQL(" AND ").join(texts), values

    def _one(self, condition: Condition) -> tuple[Any, list[Any]]:
        sql = self.sql
        if isinstance(condition, Equal):
            kind = int if condition.field == ID else self.about.fields[condition.field]
            text = sql.SQL("{} = ANY(%s::" + COLUMNS[kind] + "[])").format(sql.Identifier(condition.field))
            return text, [askable(condition, kind)]
        if isinstance(condition, Between):
            kind = int if condition.field == ID else self.about.fields[condition.field]
            name = sql.Identifier(condition.field)
            ends = [(sign, end) for sign, end in zip((">=", "<="), bounds(condition, kind), strict=True)]
            texts = [sql.SQL("{} " + sign + " %s").format(name) for sign, end in ends if end is not None]
            return sql.SQL(" AND ").join([sql.SQL("{} IS NOT NULL").format(name), *texts]), [
                end for _, end in ends if end is not None
            ]
        names = {"x": sql.Identifier(condition.x), "y": sql.Identifier(condition.y)}
        # the square comes first, as an index can help with it, and so that no far number overflows in the circle
        reach = condition.radius * (1 + 1e-9)
        text = sql.SQL(
            "{x} BETWEEN %s AND %s AND {y} BETWEEN %s AND %s AND CASE WHEN {x} BETWEEN %s AND %s "
            "AND {y} BETWEEN %s AND %s THEN ({x} - %s) * ({x} - %s) + ({y} - %s) * ({y} - %s) <= %s ELSE false END"
        ).format(**names)
        x, y, far = condition.at_x, condition.at_y, condition.radius * condition.radius
        square = [x - reach, x + reach, y - reach, y + reach]
        return text, [*square, *square, x, x, y, y, far]
