"""Write the facts next to the builders to gluon_classics/models/facts.json: python tools/make_facts.py"""

from dataclasses import asdict
import json

from gluon_classics import _files
from gluon_classics.models.registry import FACTS, registered


def main():
    facts = [asdict(info) for info in registered()]
    _files.write_text(FACTS, json.dumps(facts, indent=2, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
