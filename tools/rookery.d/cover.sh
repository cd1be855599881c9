# Line coverage by directory, from gcc's own gcov.

# cover_lines: "FILE EXECUTED LINES" of every source of ours that was built, from gcov's summaries. What a file holds of
# a header is counted with that header, once for each file, and left out.
cover_lines() {
    find "$ROOT/build/cover" -name '*.gcno' -path '*/CMakeFiles/rk_*' -print0 |
        (cd "$REPORT" && xargs -0 -n 50 gcov --no-output --relative-only --source-prefix "$ROOT" 2>/dev/null) |
        awk -F"'" '
            /^File / { file = $2; next }
            /^Lines executed:/ && file ~ /^(libcommon|services)\/.*\.c$/ {
                split($0, part, /[:% ]+/) # "Lines executed:97.22% of 36"
                lines = part[5]; share = part[3]
                printf "%s %d %d\n", file, share * lines / 100 + 0.5, lines
            }
            { file = "" }'
}

cover_report() {
    local files="$REPORT/cover.txt"

    cover_lines | sort >"$files"
    [ -s "$files" ] || die "gcov found nothing to report" "see: $ROOT/build/cover"
    awk '
        { n = split($1, d, "/"); dir = d[1]; for (i = 2; i < n; i++) dir = dir "/" d[i]
          hit[dir] += $2; all[dir] += $3; hits += $2; total += $3 }
        END { for (k in all) printf "%6.1f %%  %6d of %6d  %s\n", 100 * hit[k] / all[k], hit[k], all[k], k | "sort -k6"
              close("sort -k6"); printf "%6.1f %%  %6d of %6d  all\n", 100 * hits / total, hits, total }' "$files"
    printf 'most lines not reached:\n'
    awk '$3 > $2 { printf "%6d  %6.1f %%  %s\n", $3 - $2, 100 * $2 / $3, $1 }' "$files" | sort -rn | head -n 20
}

# cover_all [--system]: what the unit tests and the fuzz corpora reach; with --system also what the system tests do.
cover_all() {
    find "$ROOT/build/cover" -name '*.gcda' -delete 2>/dev/null || true
    part "unit tests and fuzz corpora, counting" unit_tests cover
    if [ "${1:-}" = --system ]; then
        PRESET=cover
        part "system tests, counting" system_tests
    fi
    part "coverage" cover_report
}
