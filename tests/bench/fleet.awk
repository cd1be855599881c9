# What rookery-fleet writes (--json) -> lines "STEP/NAME value", as a load generator prints them; STEP is "2-run" for the second
# step. Of several fleets that ran beside each other: the slower one's times and the sum of everything else.
#
# The JSON is as jansson indents it, by one a level: a member's depth is the number of spaces before it.
FNR == 1 {
    steps = 0
}

{
    match($0, /^ */)
    depth = RLENGTH
    split($0, part, "\"")
    key = part[2]
    gsub(/[^a-z0-9]+/, "_", key)
    value = $0
    sub(/^[^:]*: */, "", value)
    sub(/,$/, "", value)
}

depth == 3 && key == "step" {
    step = ++steps "-" part[4]
}

depth == 3 && value == "{" {
    section = key
}

depth == 4 && value == "{" {
    metric = key
}

depth == 3 && value ~ /^[0-9]/ {
    note(step "/" key, value, key == "seconds")
}

depth == 4 && value ~ /^[0-9]/ {
    note(step "/" section "_" key, value, 0)
}

depth == 5 && section == "times" && value ~ /^[0-9]/ {
    note(step "/" metric "_" key, value, key != "count")
}

function note(name, v, is_time) {
    if (!(name in sum))
        order[++names] = name
    if (is_time)
        sum[name] = v + 0 > sum[name] ? v + 0 : sum[name]
    else
        sum[name] += v
}

END {
    for (i = 1; i <= names; i++)
        print order[i], sprintf("%.9g", sum[order[i]])
}
