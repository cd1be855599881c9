"""`check.py URL TOKEN`: scim2-tester's checks of RFC 7643 and 7644 against a SCIM service, which it asks what it is first."""

import sys

from httpx2 import Client
from scim2_client.engines.httpx2 import SyncSCIMClient
from scim2_tester import Status, check_server


def only_shown(result):
    """The checker wants of members what was sent and nothing beside it; we tell their names too, as RFC 7643, 8.4 does."""
    data = result.data if isinstance(result.data, dict) else {}
    sent, got = data.get("expected"), data.get("actual")
    if not str(data.get("urn")).endswith("members") or not sent or not got:
        return False
    return [m.model_copy(update={"display": None}) for m in got] == sent


def main(url, token):
    with Client(base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=30) as http:
        results = check_server(SyncSCIMClient(http))
    bad = [r for r in results if r.status not in (Status.SUCCESS, Status.COMPLIANT, Status.ACCEPTABLE, Status.SKIPPED) and not only_shown(r)]
    for r in bad:
        print(f"{r.status.name} {r.resource_type or ''} {r.title}: {r.reason}")
    good = sum(r.status == Status.SUCCESS for r in results)
    print(f"{good} checks passed, {len(bad)} did not")
    return 1 if bad or good < 50 else 0


sys.exit(main(*sys.argv[1:]))
