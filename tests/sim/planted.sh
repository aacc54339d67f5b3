#!/usr/bin/env bash
# Plants each bug of tests/sim/planted in a copy of the sources, builds it, and runs seeds until one fails.
#
#   bash tests/sim/planted.sh [BUG...]       all of them, or these; prints the rows of the table in docs/simulation.md
#
# A BUG is how the name of its file begins (07, or 07-grace), or a file with a patch. One in the store on Redis is
# looked for with nodes (`--nodes any`). The seconds are those of the processor, so that a busy machine shows the same;
# the build is not in them. Exit status 1 if one is not found.
#
# SECONDS_EACH (600): how long a bug may hide. TARGET: the folder to build in; one that is warm saves minutes.
set -uo pipefail
cd "$(dirname "$0")/../.."
[ $# -gt 0 ] || set -- ''
patches=()
for bug in "$@"; do
    found=("$bug")
    [ -f "$bug" ] || mapfile -t found < <(compgen -G "tests/sim/planted/$bug*.patch" | sort)
    [ ${#found[@]} -gt 0 ] || { echo "no file in tests/sim/planted begins with $bug" >&2; exit 2; }
    patches+=("${found[@]}")
done
copy=$(mktemp -d)
trap 'rm -rf "$copy"' EXIT
target=${TARGET:-$copy/target}
git ls-files -z | grep -zv '^docs/screenshots' | xargs -0 cp --parents -t "$copy" 2>/dev/null
build=(cargo build --quiet --locked --no-default-features --bin salon --target-dir "$target" --features)
TIMEFORMAT='%U %S'
missed=0
# what the row says of the patch at hand
row() {
    printf '| %s | %s |\n' "$what" "$*"
}
echo '| planted bug | seed | invariant | seconds | steps |'
echo '|---|---|---|---|---|'
for patch in "${patches[@]}"; do
    what=$(head -1 "$patch")
    if ! patch -s -F0 --dry-run -d "$copy" -p1 <"$patch" >&2; then
        row 'the patch does not fit any more | | | '
        missed=1
        continue
    fi
    patch -s -F0 -d "$copy" -p1 <"$patch"
    features=server nodes=()
    grep -q '^--- a/src/backend/redis/' "$patch" && features=sim-nodes nodes=(--nodes any)
    # shellcheck disable=SC2086 # they are several words
    if (cd "$copy" && CARGO_PROFILE_DEV_OPT_LEVEL=2 "${build[@]}" "$features" ${BUILD_OPTIONS:-}) 2>"$copy/log"; then
        {
            # shellcheck disable=SC2016 # the words are those of the inner shell
            time bash -c 'ulimit -t "$1"; shift; exec "$@"' - "${SECONDS_EACH:-600}" "$target/debug/salon" sim \
                --seeds 0..1000000 --first --json --log off "${nodes[@]}" >"$copy/rows" 2>/dev/null
        } 2>"$copy/spent"
        seconds=$(awk 'END { printf "%.1f", $1 + $2 }' "$copy/spent")
        failed=$(grep -m1 '"ok":false' "$copy/rows")
        if [ -n "$failed" ]; then
            field() { grep -o "\"$1\":[0-9]*" <<<"$failed" | cut -d: -f2; }
            row "$(field seed) | $(field invariant) | $seconds | $(field step)"
        else
            row "not found in $(wc -l <"$copy/rows") seeds | | $seconds | "
            missed=1
        fi
    else
        row "does not build: $(grep -m1 error "$copy/log") | | | "
        missed=1
    fi
    patch -s -R -d "$copy" -p1 <"$patch"
done
exit $missed
