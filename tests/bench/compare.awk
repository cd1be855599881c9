# rows.tsv, what was recorded, and the figures of now -> a table of what changed. A row is compared by its ratio to the reference,
# else to stock, which holds where the machine's hour does not; else as it is. After figures.awk.
BEGIN {
    FS = "\t"
}

FNR == 1 {
    file++
}

file == 1 {
    take_row()
    next
}

/^#/ {
    next
}

{
    $1 = (file == 2 ? "then " : "now ") $1
    take()
}

# Rounds as they are, or over the median of the other: lowest, median, highest in low, mid, high[when].
function range(when, key, other,    k, over) {
    k = when key FS "ours"
    over = other == "" ? 1 : median(when key FS other)
    mid[when] = median(k) / over
    low[when] = value[k, 1] / over
    high[when] = value[k, count[k]] / over
}

function both(key, s) {
    return count["then " key FS s] && count["now " key FS s] && median("then " key FS s) > 0 && median("now " key FS s) > 0
}

function said() {
    if (low["now "] > high["then "])
        return "more"
    if (high["now "] < low["then "])
        return "less"
    return ""
}

END {
    print "| work | compared | recorded | now | change | beyond what rounds differ by |"
    print "|---|---|---|---|---|---|"
    for (i = 1; i <= rows; i++) {
        if (!both(row[i], "ours"))
            continue
        other = both(row[i], "ref") ? "ref" : both(row[i], "stock") ? "stock" : ""
        range("then ", row[i], other)
        range("now ", row[i], other)
        of = other == "" ? scale(unit[i]) : 1
        printf "| %s | %s | %s | %s | %+.0f %% | %s |\n", title[i],
            other == "ref" ? "ours/reference" : other == "stock" ? "ours/stock" : unit[i],
            short3(mid["then "] / of), short3(mid["now "] / of), 100 * (mid["now "] / mid["then "] - 1), said()
    }
}

function short3(v) {
    return v < 0.1 ? sprintf("%.4f", v) : short(v)
}
