# Figures of `day` -> what all steps of `subject`'s last day have cost together. A day begins with its step 1.
BEGIN {
    FS = "\t"
}

$1 == "day" && $3 == subject && $4 == "servers_cpu_s" && $2 != "whole" {
    if ($2 ~ /^1-/)
        sum = 0
    sum += $5
}

END {
    print "servers_cpu_s", sum
}
