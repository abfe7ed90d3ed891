"""Lines of CEF on standard input, each as cefp reads it on a line of JSON."""

import json
import sys

import cefp

for line in sys.stdin.buffer.read().decode("utf-8").split("\n"):
    if line != "":
        print(json.dumps(cefp.parse(line)))
