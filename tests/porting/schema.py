"""A checker for the words of JSON Schema that docs/graph.schema.json uses; a dependency for them would be larger."""

TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}
WORDS = {
    *("$schema", "title", "description", "type", "const", "enum", "properties", "required", "additionalProperties"),
    *("items", "allOf", "if", "then"),
}


def errors(value, schema, place="graph"):
    """Return where and how a value does not fit a schema."""
    assert set(schema) <= WORDS, f"this checker does not know {set(schema) - WORDS}"
    found = []
    if "type" in schema:
        names = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
        if not any(_is(value, name) for name in names):
            return [f"{place} is {value!r}, not {' or '.join(names)}"]
    if "const" in schema and value != schema["const"]:
        found.append(f"{place} is {value!r}, not {schema['const']!r}")
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{place} is {value!r}, not one of {schema['enum']}")
    if isinstance(value, dict):
        found += [f"{place} lacks {name}" for name in schema.get("required", ()) if name not in value]
        properties, others = schema.get("properties", {}), schema.get("additionalProperties", True)
        for name, item in value.items():
            if name in properties:
                found += errors(item, properties[name], f"{place}.{name}")
            elif others is False:
                found.append(f"{place} has the unknown {name}")
            elif isinstance(others, dict):
                found += errors(item, others, f"{place}.{name}")
    if isinstance(value, list) and "items" in schema:
        for number, item in enumerate(value):
            found += errors(item, schema["items"], f"{place}[{number}]")
    for part in schema.get("allOf", ()):
        found += errors(value, part, place)
    if "if" in schema and not errors(value, schema["if"], place):
        found += errors(value, schema["then"], place)
    return found


def _is(value, name):
    return isinstance(value, TYPES[name]) and (name == "boolean" or not isinstance(value, bool))
