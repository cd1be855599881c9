# rows.tsv and the figures of all rounds -> a table, or JSON (format=json). Values are medians.
BEGIN {
    FS = "\t"
    subjects = split("ours ref stock", subject, " ")
}

FNR == NR {
    if ($0 !~ /^#/) {
        row[++rows] = $1 FS $2 FS $3
        unit[rows] = $4
        title[rows] = $5
    }
    next
}

{
    key = $1 FS $2 FS $4 FS $3
    value[key, ++count[key]] = $5
    if (!(($1 FS $2 FS $4) in seen)) {
        seen[$1 FS $2 FS $4] = ++names
        name[names] = $1 FS $2 FS $4
    }
}

# Sorts value[key, 1..n] in place.
function sorted(key,    i, j, v) {
    for (i = 2; i <= count[key]; i++) {
        v = value[key, i] + 0
        for (j = i - 1; j > 0 && value[key, j] + 0 > v; j--)
            value[key, j + 1] = value[key, j]
        value[key, j + 1] = v
    }
}

function median(key,    n) {
    n = count[key]
    sorted(key)
    return n % 2 ? value[key, (n + 1) / 2] : (value[key, n / 2] + value[key, n / 2 + 1]) / 2
}

function scale(u) {
    return u == "ms CPU" ? 1000 : u == "KiB" ? 1024 : u == "MiB" ? 1048576 : 1
}

function short(v) {
    return sprintf(v >= 100 ? "%.0f" : v >= 10 ? "%.1f" : "%.2f", v)
}

function cell(key, u,    m) {
    if (!count[key])
        return ""
    m = median(key)
    return short(m / scale(u)) " [" short(value[key, 1] / scale(u)) "-" short(value[key, count[key]] / scale(u)) "]"
}

function ratio(a, b,    over) {
    if (!count[a] || !count[b])
        return ""
    over = median(b)
    return over > 0 ? sprintf("%.2f", median(a) / over) : ""
}

function table(    i, k) {
    print "| work | unit | ours | reference | ours/reference | stock | ours/stock |"
    print "|---|---|---|---|---|---|---|"
    for (i = 1; i <= rows; i++) {
        k = row[i] FS
        if (count[k "ours"])
            printf "| %s | %s | %s | %s | %s | %s | %s |\n", title[i], unit[i], cell(k "ours", unit[i]),
                cell(k "ref", unit[i]), ratio(k "ours", k "ref"), cell(k "stock", unit[i]), ratio(k "ours", k "stock")
    }
}

function json(    i, s, part, k, comma) {
    printf "\"figures\":["
    for (i = 1; i <= names; i++)
        for (s = 1; s <= subjects; s++) {
            k = name[i] FS subject[s]
            if (!count[k])
                continue
            split(name[i], part, FS)
            printf "%s\n{\"benchmark\":\"%s\",\"case\":\"%s\",\"value\":\"%s\",\"subject\":\"%s\",\"median\":%.6g," \
                "\"lowest\":%.6g,\"highest\":%.6g,\"rounds\":%d}", comma, part[1], part[2], part[3], subject[s],
                median(k), value[k, 1], value[k, count[k]], count[k]
            comma = ","
        }
    print "\n]}"
}

END {
    if (format == "json")
        json()
    else
        table()
}
