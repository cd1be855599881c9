# How the map benchmark's figures grow with the account: figures -> a table, or a plot (format=svg). Medians. After figures.awk.
BEGIN {
    FS = "\t"
    lines = split("load_ms all_ms change_join_us change_version_us wide_us map_us one_ms", name, " ")
    title["load_ms"] = "loaded from Postgres, ms"
    title["all_ms"] = "one change, everybody's map, ms CPU"
    title["change_join_us"] = "a peer joins: next snapshot and whom it concerns, us CPU"
    title["change_version_us"] = "a peer's version: the same, us CPU"
    title["wide_us"] = "a map with everybody in it, us CPU"
    title["map_us"] = "a map, us CPU"
    title["one_ms"] = "one change, one map, sealed, ms CPU"
    rest = split("map_peers map_bytes wide_bytes peer_bytes change_version_peers", other, " ")
    title["map_peers"] = "peers in a map"
    title["map_bytes"] = "a map, bytes"
    title["wide_bytes"] = "a map with everybody in it, bytes"
    title["peer_bytes"] = "snapshot, bytes a peer"
    title["change_version_peers"] = "whom a peer's version concerns"
    colours = split("#1b6ca8 #c0392b #1e8449 #7d8c2e #8e44ad #d35400 #566573", colour, " ")
}

$1 == "map" && $3 == "ours" {
    take()
    if (!($2 in known)) {
        known[$2] = 1
        size[++sizes] = $2
    }
}

function of(size, what) {
    return median("map" FS size FS what FS "ours")
}

function line(what,    i) {
    printf "| %s |", title[what]
    for (i = 1; i <= sizes; i++)
        printf " %s |", short(of(size[i], what))
    print ""
}

function table(    i) {
    printf "| peers |"
    for (i = 1; i <= sizes; i++)
        printf " %s |", grouped(size[i])
    printf "\n|---|"
    for (i = 1; i <= sizes; i++)
        printf "---|"
    print ""
    for (i = 1; i <= lines; i++)
        line(name[i])
    for (i = 1; i <= rest; i++)
        line(other[i])
}

function log10(v) {
    return log(v) / log(10)
}

# Microseconds from 10 to 10^8 on 7 decades of 60 pixels; 100 to 100,000 peers on 3 of 180.
function x(peers) {
    return 70 + (log10(peers) - 2) * 180
}
function y(us) {
    return 450 - (log10(us < 10 ? 10 : us) - 1) * 60
}

function microseconds(what) {
    return what ~ /_ms$/ ? 1000 : 1
}

function svg(    i, k, d, v, label) {
    print "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 1000 500\" font-family=\"sans-serif\" font-size=\"12\">"
    print "<rect width=\"1000\" height=\"500\" fill=\"#fff\"/>"
    split("10 us,100 us,1 ms,10 ms,100 ms,1 s,10 s,100 s", label, ",")
    for (i = 1; i <= 8; i++) {
        printf "<path d=\"M70 %d H610\" stroke=\"#ddd\"/><text x=\"62\" y=\"%d\" text-anchor=\"end\">%s</text>\n",
            510 - i * 60, 514 - i * 60, label[i]
    }
    for (i = 1; i <= sizes; i++)
        printf "<path d=\"M%.1f 30 V450\" stroke=\"#ddd\"/><text x=\"%.1f\" y=\"468\" text-anchor=\"middle\">%s</text>\n",
            x(size[i]), x(size[i]), grouped(size[i])
    print "<text x=\"340\" y=\"490\" text-anchor=\"middle\">peers in the account</text>"
    for (k = 1; k <= lines; k++) {
        d = ""
        for (i = 1; i <= sizes; i++) {
            v = of(size[i], name[k]) * microseconds(name[k])
            d = d sprintf("%s%.1f %.1f", i == 1 ? "M" : " L", x(size[i]), y(v))
        }
        printf "<path d=\"%s\" fill=\"none\" stroke=\"%s\" stroke-width=\"2\"/>\n", d, colour[k]
        printf "<path d=\"M625 %d H645\" stroke=\"%s\" stroke-width=\"3\"/><text x=\"652\" y=\"%d\">%s</text>\n",
            42 + k * 24, colour[k], 46 + k * 24, bare(title[name[k]])
    }
    print "</svg>"
}

# Without the unit: the axis has it.
function bare(text) {
    sub(/, (us|ms)( CPU)?$/, "", text)
    return text
}

END {
    if (sizes == 0)
        exit
    if (format == "svg")
        svg()
    else
        table()
}
