# What the checks of this folder share: a name, and a command that must succeed. What it says is shown where it does
# not. `work` is a folder of the script's own, and `failed` becomes its exit status.
failed=0
check() {
    local name=$1
    shift
    if "$@" >"$work/said" 2>&1; then echo "ok - $name"; else echo "not ok - $name"; cat "$work/said"; failed=1; fi
}
