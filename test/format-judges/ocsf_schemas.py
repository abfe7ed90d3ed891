"""
The JSON Schema of each OCSF 1.8.0 class and set of profiles that standard input names (`CLASS_UID PROFILE,PROFILE`), a
line each, and beside it what each number of an enumeration is called.
"""

import json
import sys

from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema

compiled = get_ocsf_schema(version="1.8.0")
ocsf = OcsfJsonSchemaEmbedded(compiled)


def captions(definition):
    """By attribute: the attribute that holds the caption, and the captions by number."""
    return {
        name: [attribute["sibling"], {key: value["caption"] for key, value in attribute["enum"].items()}]
        for name, attribute in definition["attributes"].items()
        if "enum" in attribute and "sibling" in attribute
    }


for line in sys.stdin:
    uid, profiles = line.rstrip("\n").split(" ")
    name = ocsf.lookup_class_name_from_uid(int(uid))
    schema = ocsf.get_class_schema(name, [profile for profile in profiles.split(",") if profile])
    print(json.dumps({"schema": schema, "captions": captions(compiled["classes"][name])}))
