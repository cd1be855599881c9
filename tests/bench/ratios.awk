# rows.tsv and what was recorded -> a plot: what ours costs as a share of stock's cost, on a logarithmic axis, and beside it of
# the reference's. After figures.awk.
BEGIN {
    FS = "\t"
    step = 17
    left = 420
    decade = 150
}

FNR == NR {
    take_row()
    next
}

!/^#/ {
    take()
}

function log10(v) {
    return log(v) / log(10)
}

# From 1/1,000 to 1 and somewhat over.
function x(share) {
    return left + (log10(share < 0.001 ? 0.001 : share > 2.5 ? 2.5 : share) + 3) * decade
}

function bar(share, y, colour, what) {
    printf "<path d=\"M%d %d H%.1f\" stroke=\"%s\" stroke-width=\"6\"/>", left, y, x(share), colour
    printf "<text x=\"%.1f\" y=\"%d\" fill=\"%s\">%s %s</text>\n", x(share) + 6, y + 4, colour, share < 0.01 ? sprintf("%.4f", share) : sprintf("%.2f", share), what
}

function escaped(s) {
    sub(/;.*/, "", s)
    gsub(/&/, "\\&amp;", s)
    gsub(/</, "\\&lt;", s)
    return s
}

END {
    for (i = 1; i <= rows; i++) {
        k = row[i] FS
        # What is more where it is better has no place among costs.
        if (unit[i] ~ /1\/s|share/ || !count[k "ours"] || !(count[k "stock"] || count[k "ref"]))
            continue
        shown[++n] = i
    }
    height = 60 + n * 2 * step
    printf "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1060 %d\" font-family=\"sans-serif\" font-size=\"11\">\n", height
    printf "<rect width=\"1060\" height=\"%d\" fill=\"#fff\"/>\n", height
    split("1/1000 1/100 1/10 1", label, " ")
    for (i = 1; i <= 4; i++)
        printf "<path d=\"M%d 24 V%d\" stroke=\"#ddd\"/><text x=\"%d\" y=\"16\" text-anchor=\"middle\">%s</text>\n",
            left + (i - 1) * decade, height - 12, left + (i - 1) * decade, label[i]
    for (j = 1; j <= n; j++) {
        i = shown[j]
        k = row[i] FS
        y = 24 + j * 2 * step - step / 2
        printf "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", left - 8, y + 4, escaped(title[i])
        if (count[k "stock"])
            bar(median(k "ours") / median(k "stock"), y - 4, "#1b6ca8", "of stock")
        if (count[k "ref"])
            bar(median(k "ours") / median(k "ref"), y + 6, "#7d8c2e", "of the reference")
    }
    print "</svg>"
}
