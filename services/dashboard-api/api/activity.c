/* See activity.h. */

#include "services/dashboard-api/api/activity.h"

#include "libcommon/base/attr.h"

static const struct {
    const char *code, *label;
} activities[] = {
    { "peer.user.add", "Peer added" },
    { "peer.setupkey.add", "Peer added" },
    { "user.join", "User joined" },
    { "user.invite", "User invited" },
    { "account.create", "Account created" },
    { "user.peer.delete", "Peer deleted" },
    { "rule.add", "Rule added" },
    { "rule.update", "Rule updated" },
    { "rule.delete", "Rule deleted" },
    { "policy.add", "Policy added" },
    { "policy.update", "Policy updated" },
    { "policy.delete", "Policy deleted" },
    { "setupkey.add", "Setup key created" },
    { "setupkey.update", "Setup key updated" },
    { "setupkey.revoke", "Setup key revoked" },
    { "setupkey.overuse", "Setup key overused" },
    { "group.add", "Group created" },
    { "group.update", "Group updated" },
    { "peer.group.add", "Group added to peer" },
    { "peer.group.delete", "Group removed from peer" },
    { "user.group.add", "Group added to user" },
    { "user.group.delete", "Group removed from user" },
    { "user.role.update", "User role updated" },
    { "setupkey.group.add", "Group added to setup key" },
    { "setupkey.group.delete", "Group removed from user setup key" },
    { "dns.setting.disabled.management.group.add",
      "Group added to disabled management DNS setting" },
    { "dns.setting.disabled.management.group.delete",
      "Group removed from disabled management DNS setting" },
    { "route.add", "Route created" },
    { "route.delete", "Route deleted" },
    { "route.update", "Route updated" },
    { "peer.ssh.enable", "Peer SSH server enabled" },
    { "peer.ssh.disable", "Peer SSH server disabled" },
    { "peer.rename", "Peer renamed" },
    { "peer.login.expiration.enable", "Peer login expiration enabled" },
    { "peer.login.expiration.disable", "Peer login expiration disabled" },
    { "nameserver.group.add", "Nameserver group created" },
    { "nameserver.group.delete", "Nameserver group deleted" },
    { "nameserver.group.update", "Nameserver group updated" },
    { "account.setting.peer.login.expiration.enable", "Account peer login expiration enabled" },
    { "account.setting.peer.login.expiration.disable", "Account peer login expiration disabled" },
    { "account.setting.peer.login.expiration.update",
      "Account peer login expiration duration updated" },
    { "personal.access.token.create", "Personal access token created" },
    { "personal.access.token.delete", "Personal access token deleted" },
    { "service.user.create", "Service user created" },
    { "service.user.delete", "Service user deleted" },
    { "user.block", "User blocked" },
    { "user.unblock", "User unblocked" },
    { "user.delete", "User deleted" },
    { "group.delete", "Group deleted" },
    { "user.peer.login", "User logged in peer" },
    { "peer.login.expire", "Peer login expired" },
    { "dashboard.login", "Dashboard login" },
    { "integration.create", "Integration created" },
    { "integration.update", "Integration updated" },
    { "integration.delete", "Integration deleted" },
    { "account.setting.peer.approval.enable", "Account peer approval enabled" },
    { "account.setting.peer.approval.disable", "Account peer approval disabled" },
    { "peer.approve", "Peer approved" },
    { "peer.approval.revoke", "Peer approval revoked" },
    { "transferred.owner.role", "Transferred owner role" },
    { "posture.check.create", "Posture check created" },
    { "posture.check.update", "Posture check updated" },
    { "posture.check.delete", "Posture check deleted" },
    { "peer.inactivity.expiration.enable", "Peer inactivity expiration enabled" },
    { "peer.inactivity.expiration.disable", "Peer inactivity expiration disabled" },
    { "account.peer.inactivity.expiration.enable", "Account peer inactivity expiration enabled" },
    { "account.peer.inactivity.expiration.disable", "Account peer inactivity expiration disabled" },
    { "account.peer.inactivity.expiration.update",
      "Account peer inactivity expiration duration updated" },
    { "setupkey.delete", "Setup key deleted" },
    { "account.setting.group.propagation.enable", "User group propagation enabled" },
    { "account.setting.group.propagation.disable", "User group propagation disabled" },
    { "account.setting.routing.peer.dns.resolution.enable",
      "Account routing peer DNS resolution enabled" },
    { "account.setting.routing.peer.dns.resolution.disable",
      "Account routing peer DNS resolution disabled" },
    { "network.create", "Network created" },
    { "network.update", "Network updated" },
    { "network.delete", "Network deleted" },
    { "network.resource.create", "Network resource created" },
    { "network.resource.update", "Network resource updated" },
    { "network.resource.delete", "Network resource deleted" },
    { "network.router.create", "Network router created" },
    { "network.router.update", "Network router updated" },
    { "network.router.delete", "Network router deleted" },
    { "resource.group.add", "Resource added to group" },
    { "resource.group.delete", "Resource removed from group" },
    { "account.dns.domain.update", "Account DNS domain updated" },
    { "account.setting.lazy.connection.enable", "Account lazy connection enabled" },
    { "account.setting.lazy.connection.disable", "Account lazy connection disabled" },
    { "account.network.range.update", "Account network range updated" },
    { "peer.ip.update", "Peer IP updated" },
    { "user.approve", "User approved" },
    { "user.reject", "User rejected" },
    { "user.create", "User created" },
    { "account.settings.auto.version.update", "Account AutoUpdate Version updated" },
    { "identityprovider.create", "Identity provider created" },
    { "identityprovider.update", "Identity provider updated" },
    { "identityprovider.delete", "Identity provider deleted" },
    { "dns.zone.create", "DNS zone created" },
    { "dns.zone.update", "DNS zone updated" },
    { "dns.zone.delete", "DNS zone deleted" },
    { "dns.zone.record.create", "DNS zone record created" },
    { "dns.zone.record.update", "DNS zone record updated" },
    { "dns.zone.record.delete", "DNS zone record deleted" },
    { "peer.job.create", "Create Job for peer" },
    { "user.password.change", "User password changed" },
    { "user.invite.link.create", "User invite link created" },
    { "user.invite.link.accept", "User invite link accepted" },
    { "user.invite.link.regenerate", "User invite link regenerated" },
    { "user.invite.link.delete", "User invite link deleted" },
    { "service.create", "Service created" },
    { "service.update", "Service updated" },
    { "service.delete", "Service deleted" },
    { "service.peer.expose", "Peer exposed service" },
    { "service.peer.unexpose", "Peer unexposed service" },
    { "service.peer.expose.expire", "Peer exposed service expired" },
    { "account.setting.peer.expose.enable", "Account peer expose enabled" },
    { "account.setting.peer.expose.disable", "Account peer expose disabled" },
    { "account.setting.auto.update.always.enable", "Account auto-update always enabled" },
    { "account.setting.auto.update.always.disable", "Account auto-update always disabled" },
    { "domain.add", "Domain added" },
    { "domain.delete", "Domain deleted" },
    { "domain.validate", "Domain validated" },
    { "account.setting.ipv6.enable", "Account IPv6 overlay enabled" },
    { "account.setting.ipv6.disable", "Account IPv6 overlay disabled" },
    { "account.setting.local.mfa.enable", "Account local MFA enabled" },
    { "account.setting.local.mfa.disable", "Account local MFA disabled" },
    { "user.peer.session.extend", "User extended peer session" },
    { "agent_network.provider.create", "Agent Network provider created" },
    { "agent_network.provider.update", "Agent Network provider updated" },
    { "agent_network.provider.delete", "Agent Network provider deleted" },
    { "agent_network.policy.create", "Agent Network policy created" },
    { "agent_network.policy.update", "Agent Network policy updated" },
    { "agent_network.policy.delete", "Agent Network policy deleted" },
    { "agent_network.guardrail.create", "Agent Network guardrail created" },
    { "agent_network.guardrail.update", "Agent Network guardrail updated" },
    { "agent_network.guardrail.delete", "Agent Network guardrail deleted" },
    { "agent_network.budget_rule.create", "Agent Network budget rule created" },
    { "agent_network.budget_rule.update", "Agent Network budget rule updated" },
    { "agent_network.budget_rule.delete", "Agent Network budget rule deleted" },
    { "agent_network.settings.update", "Agent Network settings updated" },
    { "account.setting.metrics.push.enable", "Account metrics push enabled" },
    { "account.setting.metrics.push.disable", "Account metrics push disabled" },
    { "agent_network.settings.delete", "Agent Network settings deleted" },
    { "account.delete", "Account deleted" },
    { "proxy.token.create", "Proxy token created" },
    { "proxy.token.revoke", "Proxy token revoked" },
    { "user.second.factor.add", "User set up two-step verification" },
    { "user.second.factor.reset", "User's two-step verification reset" },
    { "user.passkey.add", "User added a passkey" },
    { "user.recovery.code.use", "User signed in with a recovery code" },
    { "user.password.reset", "User password reset" },
    { "account.signing.key.rotate", "Signing key rotated" },
    { "account.signing.key.replace", "Signing key replaced" },
};

const char *activity_code(size_t i)
{
    return i < RK_COUNT(activities) ? activities[i].code : NULL;
}

const char *activity_label(const char *code)
{
    for (size_t i = 0; i < RK_COUNT(activities); i++)
        if (strcmp(activities[i].code, code) == 0)
            return activities[i].label;
    return code;
}

/* The first that fits says the kind. */
static const struct {
    const char *prefix, *kind;
} kinds[] = {
    { "peer.job.", "job" },
    { "peer.", "peer" },
    { "user.peer.", "peer" },
    { "user.invite.link.", "invite" },
    { "user.", "user" },
    { "service.user.", "user" },
    { "dashboard.login", "user" },
    { "transferred.owner.role", "user" },
    { "personal.access.token.", "token" },
    { "account.", "account" },
    { "rule.", "policy" },
    { "policy.", "policy" },
    { "setupkey.", "setup_key" },
    { "group.", "group" },
    { "resource.group.", "group" },
    { "dns.setting.", "dns_settings" },
    { "dns.zone.record.", "zone_record" },
    { "dns.zone.", "zone" },
    { "nameserver.group.", "nameserver_group" },
    { "route.", "route" },
    { "posture.check.", "posture_check" },
    { "network.resource.", "network_resource" },
    { "network.router.", "network_router" },
    { "network.", "network" },
    { "identityprovider.", "identity_provider" },
    { "service.", "service" },
    { "proxy.token.", "proxy_token" },
    { "domain.", "domain" },
    { "integration.", "integration" },
    { "agent_network.", "agent_network" },
};

static const char *kind_of(const char *code)
{
    for (size_t i = 0; i < RK_COUNT(kinds); i++)
        if (rk_str_starts(rk_str(code), rk_str(kinds[i].prefix)))
            return kinds[i].kind;
    return "";
}

bool activity_known(struct rk_str code)
{
    for (size_t i = 0; i < RK_COUNT(activities); i++)
        if (rk_str_eq(rk_str(activities[i].code), code))
            return true;
    return false;
}

size_t activity_codes_of(struct rk_str kind, struct rk_arena *arena, struct rk_str **out)
{
    struct rk_str *codes = rk_arena_alloc(arena, RK_COUNT(activities) * sizeof(*codes));
    size_t n = 0;

    for (size_t i = 0; kind.n > 0 && i < RK_COUNT(activities); i++)
        if (rk_str_eq(rk_str(kind_of(activities[i].code)), kind))
            codes[n++] = rk_str(activities[i].code);
    *out = codes;
    return n;
}
