"""Makes fixtures/authorities/precision_recall.json: trec_eval's interpolated precision of ranking.json's run.

    pip install pytrec_eval-terrier numpy; python tools/authorities/precision_recall_values.py

Afterwards nobody needs the package to run the tests.
"""

import json
from importlib.metadata import version
from pathlib import Path

import pytrec_eval

FOLDER = Path(__file__).resolve().parents[2] / "fixtures" / "authorities"
COMMAND = "python tools/authorities/precision_recall_values.py"


def main() -> None:
    """Write the file whole."""
    case = json.loads((FOLDER / "ranking.json").read_text(encoding="utf-8"))["listed"]
    evaluator = pytrec_eval.RelevanceEvaluator(case["qrels"], ["iprec_at_recall"])
    found = {
        query: [values[f"iprec_at_recall_{k / 10:.2f}"] for k in range(11)]
        for query, values in sorted(evaluator.evaluate(case["run"]).items())
    }
    versions = {"pytrec_eval-terrier": version("pytrec_eval-terrier")}
    content = {"command": COMMAND, "versions": versions, "input": "ranking.json, listed", "iprec_at_recall": found}
    part = FOLDER / "precision_recall.part"
    part.write_text(json.dumps(content, separators=(",", ":")) + "\n", encoding="utf-8")
    part.replace(FOLDER / "precision_recall.json")


if __name__ == "__main__":
    main()
