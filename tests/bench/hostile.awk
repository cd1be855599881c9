# Figures of the steps of `hostile` -> what each attack did to whom: p99 as multiples of the median of all quiet times, with the worst of
# them but for STUN, which needs no connection, and the most that this is under an attack that is no flood of STUN; and what arrived
# as a share of what was sent in quiet times, with the smallest of all attacks. `attacks` are SERVICE:KIND with blanks between them;
# step 4 * i is the i-th, step 4 * i + 2 the quiet after it. After figures.awk.
#
# A p99 is that of what arrived: where nothing did there is none, and that ends the run.
BEGIN {
    FS = OFS = "\t"
    whats = split("change offer packet stun", what, " ")
    came["change_count"] = "change"
    came["counts_offers_arrived"] = "offer"
    came["counts_packets_arrived"] = "packet"
    came["counts_stun_answers"] = "stun"
    sent["counts_offers"] = "offer"
    sent["counts_packets"] = "packet"
    sent["counts_stun_requests"] = "stun"
}

$1 == "hostile_steps" {
    split($2, step, "-")
    if ($4 ~ /^(change|offer|packet|stun)_p99_ms$/) {
        sub(/_p99_ms/, "", $4)
        note("p99" FS $4, step[1])
    } else if ($4 in came) {
        note("came" FS came[$4], step[1])
    } else if ($4 in sent) {
        note("sent" FS sent[$4], step[1])
    }
}

# Of a step; of all quiet times also for median().
function note(key, s) {
    at[key, s] = $5
    if (s % 4 == 2)
        value[key, ++count[key]] = $5
}

function check(of, s, when) {
    if (at["came" FS of, s] > 0)
        return
    print when ": nothing arrived of what " of "_p99_ms is about" > "/dev/stderr"
    failed = 1
}

END {
    n = split(attacks, attack, " ")
    for (k = 1; k <= whats; k++)
        for (i = 0; i <= n; i++) {
            if (i > 0)
                check(what[k], 4 * i, attack[i])
            check(what[k], 4 * i + 2, "quiet")
        }
    if (failed)
        exit 1
    for (k = 1; k <= whats; k++) {
        quiet = median("p99" FS what[k])
        asked = median("sent" FS what[k])
        print "hostile", "quiet", "ours", what[k] "_p99_ms", quiet
        for (i = 1; i <= n; i++) {
            name = attack[i]
            sub(/:/, "-", name)
            times = at["p99" FS what[k], 4 * i] / quiet
            print "hostile", name, "ours", what[k] "_x", times
            if (what[k] != "stun" && times > worst[i])
                worst[i] = times
            if (what[k] == "stun") {
                print "hostile", name, "ours", "worst_x", worst[i]
                if (name !~ /-stun/ && worst[i] > most)
                    most = worst[i]
            }
            if (what[k] == "change")
                continue # each of them, or the fleet fails
            share = at["came" FS what[k], 4 * i] / asked
            print "hostile", name, "ours", what[k] "_share", share
            if (i == 1 || share < least)
                least = share
        }
        if (what[k] != "change")
            print "hostile", "least", "ours", what[k] "_share", least
    }
    print "hostile", "most", "ours", "worst_x", most
}
