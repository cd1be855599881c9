# Figures that are kept with the project, and the pages made of them.

RECORDED=$ROOT/docs/performance.tsv
PAGE=$ROOT/docs/performance.md
FIGURES_BEGIN='<!-- what follows is written by ./rookery bench --record -->'
FIGURES_END='<!-- until here -->'

# figures_awk SCRIPT [-v NAME=VALUE] FILE...
figures_awk() {
    local script=$1

    shift
    awk -f "$BENCH/figures.awk" -f "$BENCH/$script.awk" "$@"
}

version() {
    git -C "$ROOT" describe --always --dirty --abbrev=8 2>/dev/null || printf 'a version of its own'
}

# What was measured now takes the place of what was recorded of the same benchmarks; of both only what a table or a plot shows.
record() {
    local when

    when="$(date -u +%F), $(version), $ROUNDS rounds, begun at a load of $BEGUN_AT_LOAD, $(host_kept) % kept by the host; $(cpu_model), $(nproc --all) cores, kernel $(uname -r)"
    [ -f "$RECORDED" ] || : >"$RECORDED"
    awk -v when="$when" '
        BEGIN { FS = "\t" }
        FNR == 1 { file++ }
        file == 1 { shown[$1, $2, $3]; next }
        file == 2 {
            if (!(($1, $2, $4) in shown) && $1 != "map")
                next
            name = $1
            sub(/_.*/, "", name)
            if (!(name in now))
                print "# " name "\t" when
            now[name]
            print
            next
        }
        {
            name = $1
            sub(/^# /, "", name)
            sub(/_.*/, "", name)
            if (!(name in now))
                print
        }' "$BENCH/rows.tsv" "$FIGURES" "$RECORDED" >"$RECORDED.new"
    mv "$RECORDED.new" "$RECORDED"
    write_page
}

# The part of the page between its two marks, and the plots.
write_page() {
    grep -qxF -- "$FIGURES_BEGIN" "$PAGE" || die "$PAGE has no place for figures" "it is after a line '$FIGURES_BEGIN'"
    figures_awk ratios "$BENCH/rows.tsv" "$RECORDED" >"$ROOT/docs/ratios.svg"
    ! grep -q '^map' "$RECORDED" || figures_awk growth -v format=svg "$RECORDED" >"$ROOT/docs/map-growth.svg"
    {
        printf '%s\n\n' "$FIGURES_BEGIN"
        figures_awk report -v format=page "$BENCH/rows.tsv" "$RECORDED"
        ! grep -q '^map' "$RECORDED" || {
            printf '### map, by size of the account\n\n'
            figures_awk growth "$RECORDED"
            printf '\n'
        }
        printf '%s\n' "$FIGURES_END"
    } >"$OUT/page"
    awk -v begin="$FIGURES_BEGIN" -v end="$FIGURES_END" -v part="$OUT/page" '
        $0 == begin {
            while ((getline line <part) > 0)
                print line
            inside = 1
        }
        !inside
        $0 == end { inside = 0 }' "$PAGE" >"$PAGE.new"
    mv "$PAGE.new" "$PAGE"
}
