"""Paths get ids that exist half of the time: random ones would only ever be not found."""

import random

import schemathesis

# Where the ids for a name in a path are found among what the server has made.
COLLECTIONS = {
    "groupId": "/api/groups",
    "policyId": "/api/policies",
    "postureCheckId": "/api/posture-checks",
    "keyId": "/api/setup-keys",
    "networkId": "/api/networks",
    "resourceId": "/api/networks/{networkId}/resources",
    "routerId": "/api/networks/{networkId}/routers",
    "routeId": "/api/routes",
    "nsgroupId": "/api/dns/nameservers",
    "zoneId": "/api/dns/zones",
    "recordId": "/api/dns/zones/{zoneId}/records",
    "userId": "/api/users",
    "peerId": "/api/peers/{peerId}/temporary-access",
}
NAMES = {path: name for name, path in COLLECTIONS.items()}
KEEP = 50

known = {name: [] for name in COLLECTIONS}


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    for name in path_parameters or {}:
        if known.get(name) and random.random() < 0.5:
            path_parameters[name] = random.choice(known[name])
    return path_parameters


@schemathesis.hook
def after_call(context, case, response):
    name = NAMES.get(case.operation.path)
    if case.method.upper() != "POST" or response.status_code != 200 or not name:
        return
    made = response.json().get("id")
    if made:
        known[name].append(made)
        del known[name][:-KEEP]
