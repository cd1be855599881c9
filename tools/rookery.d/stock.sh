# The stock server, built as its users build it, for what measures or compares ours beside it.

STOCK_OUT=$ROOT/build/stock

# build_stock LOG NAME...: fails, with a reason, where there is no Go or no way to the modules. With GO, which need_go sets, when
# there is one: an older one that fetches the version it needs does as well.
build_stock() {
    local go log=$1 name

    shift
    go=${GO:-$(find_go)} || {
        note "no Go 1.25 or later: there is no stock server"
        return 1
    }
    note "building the stock server (minutes when it is the first time)"
    (
        cd "$ROOT/tests/bench/stock"
        export GOTOOLCHAIN=${GOTOOLCHAIN:-auto} GOFLAGS=-mod=readonly
        for name in "$@"; do
            "$go" build -o "$STOCK_OUT/" "github.com/netbirdio/netbird/$name"
        done
    ) >"$log" 2>&1 || {
        tail -n 5 "$log" >&2
        note "the stock server cannot be built"
        return 1
    }
}
