# What the scripts beside this one share: figures, one a line, "benchmark case subject value number", and how they are written.
# A key is "benchmark FS case FS value FS subject"; a figure's rounds are value[key, 1..count[key]].

# Of rows.tsv: what a table shows, in its order.
function take_row() {
    if (/^#/)
        return
    row[++rows] = $1 FS $2 FS $3
    unit[rows] = $4
    title[rows] = $5
}

function take(    key) {
    key = $1 FS $2 FS $4 FS $3
    value[key, ++count[key]] = $5
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

function grouped(n,    s) {
    for (s = ""; n >= 1000; n = int(n / 1000))
        s = sprintf(",%03d", n % 1000) s
    return int(n) s
}

function short(v) {
    return v >= 1000 ? grouped(v + 0.5) : sprintf(v >= 100 ? "%.0f" : v >= 10 ? "%.1f" : "%.2f", v)
}

function cell(key, u,    m) {
    if (!count[key])
        return ""
    m = median(key)
    if (count[key] == 1)
        return short(m / scale(u))
    return short(m / scale(u)) " [" short(value[key, 1] / scale(u)) "-" short(value[key, count[key]] / scale(u)) "]"
}

function ratio(a, b,    over) {
    if (!count[a] || !count[b])
        return ""
    over = median(b)
    if (over <= 0)
        return ""
    over = median(a) / over
    return sprintf(over < 0.01 ? "%.4f" : over < 0.1 ? "%.3f" : "%.2f", over)
}
