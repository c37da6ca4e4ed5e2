#!/usr/bin/env bash
# install.sh VERSION: a Home Assistant core from PyPI in a virtual environment of its own;
# prints the environment's path. Installed once (40 s, 420 MB; 2026.11.0: 2 min, 710 MB), kept in the
# user's cache folder; .complete there is a copy of the requirements, so that new ones are installed into it.
# Exit status 3: the Python that this version needs is not there. It is looked for in PYTHON_3_11,
# PYTHON_3_13 or PYTHON_3_14 (the path of an executable), by its name, and in pyenv.
# The pins matter: without them pip takes minutes and picks packages that break it.
set -euo pipefail
version=${1:-}
here=$(cd "$(dirname "$0")" && pwd)
case $version in
  2024.3.3) wanted=3.11 ;;
  2025.4.4) wanted=3.13 ;;
  2026.11.0) wanted=3.14 ;;
  *) echo "Cannot install Home Assistant '$version': known are 2024.3.3, 2025.4.4 and 2026.11.0" >&2; exit 2 ;;
esac
requirements=$here/requirements-$version.txt
named=PYTHON_${wanted/./_}
venv=${XDG_CACHE_HOME:-$HOME/.cache}/home-assistant/$version

is_wanted() {
  "$1" -c "import sys; sys.exit('%d.%d' % sys.version_info[:2] != '$wanted')" 2>/dev/null
}

if ! is_wanted "$venv/bin/python"; then
  python=
  # a shim of pyenv answers to the name even where it cannot run
  for candidate in "${!named:-}" "python$wanted" python3 "$HOME"/.pyenv/versions/"$wanted".*/bin/python3; do
    if is_wanted "$candidate"; then python=$candidate; break; fi
  done
  if [ -z "$python" ]; then
    echo "Home Assistant $version needs Python $wanted, which is not there: $named may name it" >&2
    exit 3
  fi
  rm -rf "$venv"
  "$python" -m venv "$venv"
fi
if ! cmp -s "$requirements" "$venv/.complete"; then
  "$venv/bin/pip" install -q --no-deps --no-compile --disable-pip-version-check \
    -r "$requirements" >&2
  cp "$requirements" "$venv/.complete"
fi
echo "$venv"
