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

# What machines are given: the wheels of what the engine needs, for the Pythons of Debian 12 and 13, by their hashes.
"$tmp/venv/bin/python" - > "$tmp/needed" <<'PY'
import tomllib
from pathlib import Path

print("\n".join(tomllib.loads(Path("pyproject.toml").read_text())["project"]["dependencies"]))
PY
for machine in x86_64 aarch64; do
    for version in 3.11 3.13; do
        for minor in 17 28 34; do printf -- '--platform=manylinux_2_%s_%s\n' "$minor" "$machine"; done |
            xargs "$tmp/venv/bin/pip" download --quiet --only-binary :all: --implementation cp --python-version "$version" \
                "--platform=manylinux2014_$machine" -c requirements.lock -r "$tmp/needed" -d "$tmp/wheels"
    done
done
"$tmp/venv/bin/python" - "$tmp/wheels" > components/engine/requirements.txt <<'PY'
import hashlib
import sys
from pathlib import Path

found = {}
for path in sorted(Path(sys.argv[1]).glob("*.whl")):
    name, version = path.name.split("-")[:2]
    found.setdefault(f"{name}=={version}", []).append(hashlib.sha256(path.read_bytes()).hexdigest())
print("# The wheels of the engine's machine. Refresh with `make lock`.")
for name, sums in sorted(found.items()):
    print(" \\\n    ".join([name, *(f"--hash=sha256:{each}" for each in sorted(sums))]))
PY
