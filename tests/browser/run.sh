#!/usr/bin/env bash
# The chat page in a real browser: ./run.sh [SALON_BINARY]
#
#   CHROMIUM     the browser; otherwise the first chromium, chromium-browser or google-chrome on the PATH
#   SCREENSHOTS  where the pictures go; otherwise a temporary directory
#   WITHIN       how many milliseconds a condition is waited for; otherwise 30,000
#   SUITES       which scripts, by name; otherwise all of them
#   ONLY         for work at one check: a part of its name; those that stand on others need those
#   PAGE_FROM    for work at the page: a folder that its files come from, and not the binary (src/server/web)
#   TRIES        how often a script runs in which one check fails; otherwise 2. For work at the page: 1
#
# Prints `ok - …` or `not ok - …` for each check and ends with `N passed, M failed`, for each of the scripts.
#
# There are some hundred checks in a real browser on a machine that may be slow, and one that hangs on a moment must not
# hide the others. So a script in which just one check has failed runs again, whole. If all of it holds then, the check
# is told at the end as `uncertain`: that is a fault still, of the page or of the check, and the next thing to mend.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
salon=$(realpath -- "${1:-$here/../../target/release/salon}")
[ -x "$salon" ] || { echo "no salon binary at $salon: build one with cargo build --release, or name it" >&2; exit 2; }

if [ -z "${CHROMIUM:-}" ]; then
  for name in chromium chromium-browser google-chrome; do
    if CHROMIUM=$(command -v "$name"); then break; fi
  done
fi
[ -n "${CHROMIUM:-}" ] || { echo "no Chromium: install one, or name it in CHROMIUM" >&2; exit 2; }
export CHROMIUM
[ -z "${PAGE_FROM:-}" ] || PAGE_FROM=$(realpath -- "$PAGE_FROM")

cd "$here"
if [ ! -d node_modules/playwright-core ] || [ ! -d node_modules/axe-core ] || [ ! -d node_modules/acorn-walk ] || [ ! -d node_modules/jsqr ]; then
  npm ci --ignore-scripts --no-audit --no-fund >&2
fi
status=0
suites=${SUITES:-text words client two_people finer_points at_a_glance what_is_shown coming_back messages finding begun_anew nothing_lost moderation tokens situations languages installed the_look}
uncertain=()
told=$(mktemp)
trap 'rm -f "$told"' EXIT
for script in $suites; do
  failed=()
  while ! node "$script.mjs" "$salon" | tee "$told"; do
    failed+=("$script: $(sed -n 's/^not ok - //p' "$told")")
    if [ "$(grep -c '^not ok' "$told")" -ne 1 ] || [ ${#failed[@]} -ge "${TRIES:-2}" ]; then
      status=1
      failed=()
      break
    fi
    echo "# one check of $script has failed: all of it runs once more"
  done
  uncertain+=("${failed[@]}")
done
[ ${#uncertain[@]} -eq 0 ] || printf 'uncertain - %s\n' "${uncertain[@]}"
exit $status
