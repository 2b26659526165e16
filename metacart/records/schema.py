"""The form of a study file as JSON Schema, with which editors complete and check it."""

from __future__ import annotations

import json
from typing import Any

from metacart.records.study import Study

__all__ = ["study_schema"]


def study_schema() -> str:
    """Return the JSON Schema of study files, as ``studies/study.schema.json`` holds it.

    It knows the keys, their types and their words. What numbers must be to each other is for the
    gates.
    """
    # the draft that editors of TOML know; nothing here is newer
    schema = {"$schema": "http://json-schema.org/draft-07/schema#", **Study.model_json_schema()}
    schema["title"] = "A study of metacart"
    schema["description"] = "One paper, one file: the study, its arms, and each reported number."
    return json.dumps(_closed(schema), indent=2, ensure_ascii=False) + "\n"


def _closed(schema: Any) -> Any:
    """Return the schema with tables of a pattern closed to keys of another."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(value) for key, value in schema.items()}
    return closed | ({"additionalProperties": False} if "patternProperties" in closed else {})
