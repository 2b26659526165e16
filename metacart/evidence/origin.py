"""Where a fault of a spec stands: the file and the line that the spec was read from."""

from __future__ import annotations

import re
from collections.abc import Iterable

from metacart.errors import Fault
from metacart.evidence.places import Places, location_of
from metacart.evidence.source import shown_path
from metacart.records.spec import ModelSpec

__all__ = ["in_file"]


def in_file(spec: ModelSpec, faults: Iterable[Fault]) -> list[Fault]:
    """Return faults of a spec with its file and line, where it was read from one.

    Faults of the evidence, of a row or a column, stay as they are.
    """
    if spec.path is None:
        return list(faults)
    shown = shown_path(spec.path)
    try:
        places = Places(spec.path.read_text("utf-8-sig"), headings=("model", "report"))
    except (OSError, ValueError):  # the file is gone since
        return [fault.at(shown) for fault in faults]
    located = []
    for fault in faults:
        location = location_of(re.sub(r"^moderator '.*", "moderators", fault.place))
        if location and location[0] in ModelSpec.model_fields:
            located.append(fault.at(shown, places.line(location)))
        else:
            of_it = fault.place == f"evidence of {spec.name}"
            located.append(fault.at(shown) if of_it else fault)
    return located
