#!/usr/bin/env bash
# Plants each bug of tests/sim/planted in a copy of the sources, builds it, and runs seeds until one fails.
#
#   bash tests/sim/planted.sh [PATCH...]     all of them, or these; prints a row of docs/simulation.md for each
#
# SECONDS_EACH (600): how long a bug may hide. TARGET: the folder to build in; one that is warm saves minutes.
set -uo pipefail
cd "$(dirname "$0")/../.."
patches=("$@")
[ ${#patches[@]} -gt 0 ] || patches=(tests/sim/planted/*.patch)
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
target=${TARGET:-$copy/target}
git ls-files -z | grep -zv '^docs/screenshots' | xargs -0 cp --parents -t "$copy" 2>/dev/null
missed=0
echo '| planted bug | seed | found by invariant | seconds | steps |'
echo '|---|---|---|---|---|'
for patch in "${patches[@]}"; do
    what=$(head -1 "$patch")
    if ! patch -s -d "$copy" -p1 <"$patch"; then
        echo "| $what | the patch does not fit any more | | | |"
        missed=1
        continue
    fi
    build=(cargo build --quiet --locked --no-default-features --features server --bin salon --target-dir "$target")
    if (cd "$copy" && CARGO_PROFILE_DEV_OPT_LEVEL=2 "${build[@]}" ${BUILD_OPTIONS:-}) 2>"$copy/log"; then
        began=$(date +%s.%N)
        row=$(timeout "${SECONDS_EACH:-600}" "$target/debug/salon" sim --seeds 0..1000000 --first --json --log off \
            2>/dev/null | grep -m1 '"ok":false')
        took=$(echo "$(date +%s.%N) - $began" | bc)
        if [ -n "$row" ]; then
            field() { grep -o "\"$1\":[0-9]*" <<<"$row" | cut -d: -f2; }
            printf '| %s | %s | %s | %.1f | %s |\n' "$what" "$(field seed)" "$(field invariant)" "$took" "$(field step)"
        else
            echo "| $what | not found | | $took | |"
            missed=1
        fi
    else
        echo "| $what | does not build: $(grep -m1 error "$copy/log") | | | |"
        missed=1
    fi
    patch -s -R -d "$copy" -p1 <"$patch"
done
exit $missed
