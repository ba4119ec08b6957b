#!/bin/sh
# Resolves pyproject.toml in a throw-away environment and writes the result to requirements.lock.
set -eu
cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
"${1:-python3}" -m venv "$tmp/venv"
"$tmp/venv/bin/python" - > "$tmp/wanted" <<'PY'
import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
print("\n".join([*project["dependencies"], *project["optional-dependencies"]["dev"], "setuptools"]))
PY
"$tmp/venv/bin/pip" install --quiet --upgrade -r "$tmp/wanted"
{
    echo "# Every package of the virtual environment that \`make setup\` builds. Refresh with \`make lock\`."
    "$tmp/venv/bin/pip" freeze --all | grep -v -E '^(pip|wheel)==| @ '
} > requirements.lock
