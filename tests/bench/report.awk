# rows.tsv and figures -> a table of those that rows.tsv names, a page of one table for each benchmark (format=page), or all as
# JSON (format=json). Values are medians. After figures.awk.
BEGIN {
    FS = "\t"
    subjects = split("ours ref stock", subject, " ")
}

FNR == NR {
    take_row()
    next
}

# "# benchmark", and when and where it was measured: in what was recorded.
/^#/ {
    measured[substr($1, 3)] = $2
    next
}

{
    take()
    if (!(($1 FS $2 FS $4) in seen)) {
        seen[$1 FS $2 FS $4] = ++names
        name[names] = $1 FS $2 FS $4
    }
}

function head() {
    print "| work | unit | ours | reference | ours/reference | stock | ours/stock |"
    print "|---|---|---|---|---|---|---|"
}

function line(i,    k) {
    k = row[i] FS
    printf "| %s | %s | %s | %s | %s | %s | %s |\n", title[i], unit[i], cell(k "ours", unit[i]), cell(k "ref", unit[i]),
        ratio(k "ours", k "ref"), cell(k "stock", unit[i]), ratio(k "ours", k "stock")
}

function table(    i) {
    head()
    for (i = 1; i <= rows; i++)
        if (count[row[i] FS "ours"])
            line(i)
}

# What one benchmark calls by several names (hostile, hostile_steps) is one.
function benchmark(i,    part) {
    split(row[i], part, FS)
    sub(/_.*/, "", part[1])
    return part[1]
}

function page(    i, last) {
    for (i = 1; i <= rows; i++) {
        if (!count[row[i] FS "ours"])
            continue
        if (benchmark(i) != last) {
            if (last != "")
                print ""
            last = benchmark(i)
            printf "### %s\n\n%s\n\n", last, measured[last]
            head()
        }
        line(i)
    }
    print ""
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
    else if (format == "page")
        page()
    else
        table()
}
