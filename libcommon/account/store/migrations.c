/* The schema. Postgres is the only source of truth; see migrations.h for how to change it. */

#include "libcommon/account/store/migrations.h"

#include "libcommon/base/attr.h"

/*
 * Ids are xids as text. `account.serial` is raised by every change that maps are made of, in the
 * transaction that writes account_change; peer_status stands apart from peer because it is written
 * often and in batches.
 */
static const char first_mesh[] =
    "CREATE TABLE account ("
    "  id text PRIMARY KEY,"
    "  serial bigint NOT NULL DEFAULT 0,"
    "  domain text NOT NULL DEFAULT '',"
    "  domain_category text NOT NULL DEFAULT 'private',"
    "  is_primary boolean NOT NULL DEFAULT true,"
    "  created_at timestamptz NOT NULL DEFAULT now(),"
    "  created_by text NOT NULL,"
    "  network_id text NOT NULL,"
    "  net4 cidr NOT NULL,"
    "  net6 cidr,"
    "  settings jsonb NOT NULL,"  /* the members of the REST object AccountSettings */
    "  onboarding jsonb NOT NULL" /* the members of the REST object AccountOnboarding */
    ");"
    /* Simultaneous first logins end in one account. */
    "CREATE UNIQUE INDEX account_primary_domain ON account (domain) WHERE is_primary;"
    "CREATE TABLE account_change ("
    "  account_id text NOT NULL REFERENCES account ON DELETE CASCADE,"
    "  serial bigint NOT NULL,"
    "  kind text NOT NULL,"
    "  object_id text NOT NULL,"
    "  at timestamptz NOT NULL DEFAULT clock_timestamp(),"
    "  PRIMARY KEY (account_id, serial, kind, object_id)"
    ");"
    "CREATE INDEX account_change_at ON account_change (at);"
    "CREATE TABLE users ("
    "  id text PRIMARY KEY,"
    "  account_id text NOT NULL REFERENCES account ON DELETE CASCADE,"
    "  role text NOT NULL CHECK (role IN "
    "('owner','admin','network_admin','billing_admin','auditor','user')),"
    "  name text NOT NULL DEFAULT '',"
    "  email text NOT NULL DEFAULT '',"
    "  is_service_user boolean NOT NULL DEFAULT false,"
    "  blocked boolean NOT NULL DEFAULT false,"
    "  pending_approval boolean NOT NULL DEFAULT false,"
    "  auto_groups text[] NOT NULL DEFAULT '{}',"
    "  issued text NOT NULL DEFAULT 'api',"
    "  password_hash text," /* local users of the embedded provider */
    "  created_at timestamptz NOT NULL DEFAULT now(),"
    "  last_login timestamptz"
    ");"
    "CREATE INDEX users_account ON users (account_id);"
    "CREATE UNIQUE INDEX users_local_email ON users (lower(email)) WHERE password_hash IS NOT NULL;"
    "CREATE UNIQUE INDEX users_one_owner ON users (account_id) WHERE role = 'owner';"
    "CREATE TABLE pat ("
    "  id text PRIMARY KEY,"
    "  account_id text NOT NULL REFERENCES account ON DELETE CASCADE,"
    "  user_id text NOT NULL REFERENCES users ON DELETE CASCADE,"
    "  name text NOT NULL,"
    "  hash text NOT NULL UNIQUE,"
    "  created_by text NOT NULL,"
    "  created_at timestamptz NOT NULL DEFAULT now(),"
    "  expires_at timestamptz NOT NULL,"
    "  last_used timestamptz"
    ");"
    "CREATE INDEX pat_user ON pat (user_id);"
    "CREATE TABLE setup_key ("
    "  id text PRIMARY KEY,"
    "  account_id text NOT NULL REFERENCES account ON DELETE CASCADE,"
    "  name text NOT NULL,"
    "  hash text NOT NULL UNIQUE,"
    "  masked text NOT NULL,"
    "  type text NOT NULL CHECK (type IN ('one-off','reusable')),"
    "  created_at timestamptz NOT NULL DEFAULT now(),"
    "  updated_at timestamptz NOT NULL DEFAULT now(),"
    "  expires_at timestamptz,"
    "  revoked boolean NOT NULL DEFAULT false,"
    "  used_times bigint NOT NULL DEFAULT 0,"
    "  usage_limit bigint NOT NULL DEFAULT 0," /* 0 = unlimited */
    "  last_used timestamptz,"
    "  auto_groups text[] NOT NULL DEFAULT '{}',"
    "  ephemeral boolean NOT NULL DEFAULT false,"
    "  allow_extra_dns_labels boolean NOT NULL DEFAULT false"
    ");"
    "CREATE INDEX setup_key_account ON setup_key (account_id);"
    "CREATE TABLE peer ("
    "  id text PRIMARY KEY,"
    "  account_id text NOT NULL REFERENCES account ON DELETE CASCADE,"
    "  key text NOT NULL CONSTRAINT peer_key UNIQUE," /* canonical base64 */
    "  ip inet NOT NULL,"
    "  ip6 inet,"
    "  dns_label text NOT NULL,"
    "  extra_dns_labels text[] NOT NULL DEFAULT '{}',"
    "  name text NOT NULL,"
    "  user_id text NOT NULL DEFAULT '',"
    "  ssh_key text NOT NULL DEFAULT '',"
    "  ssh_enabled boolean NOT NULL DEFAULT false,"
    "  login_expiration_enabled boolean NOT NULL DEFAULT false,"
    "  inactivity_expiration_enabled boolean NOT NULL DEFAULT false,"
    "  login_expired boolean NOT NULL DEFAULT false,"
    "  requires_approval boolean NOT NULL DEFAULT false,"
    "  ephemeral boolean NOT NULL DEFAULT false,"
    "  allow_extra_dns_labels boolean NOT NULL DEFAULT false,"
    "  created_at timestamptz NOT NULL DEFAULT now(),"
    "  last_login timestamptz,"
    "  meta jsonb NOT NULL DEFAULT '{}'," /* keys: the proto's field names of PeerSystemMeta */
    "  meta_hash bytea NOT NULL DEFAULT ''"
    ");"
    "ALTER TABLE peer ADD CONSTRAINT peer_ip UNIQUE (account_id, ip);"
    "ALTER TABLE peer ADD CONSTRAINT peer_ip6 UNIQUE (account_id, ip6);"
    "ALTER TABLE peer ADD CONSTRAINT peer_dns_label UNIQUE (account_id, dns_label);"
    "CREATE TABLE peer_status ("
    "  peer_id text PRIMARY KEY REFERENCES peer ON DELETE CASCADE,"
    "  connected boolean NOT NULL DEFAULT false,"
    "  last_seen timestamptz NOT NULL DEFAULT now(),"
    "  session bigint NOT NULL DEFAULT 0," /* start of the Sync stream, ns */
    "  replica text NOT NULL DEFAULT '',"
    "  connection_ip text NOT NULL DEFAULT ''"
    ") WITH (fillfactor = 70);"
    "CREATE TABLE account_group ("
    "  id text PRIMARY KEY,"
    "  public_id text NOT NULL,"
    "  account_id text NOT NULL REFERENCES account ON DELETE CASCADE,"
    "  name text NOT NULL,"
    "  issued text NOT NULL DEFAULT 'api',"
    "  created_at timestamptz NOT NULL DEFAULT now()"
    ");"
    "CREATE INDEX account_group_name ON account_group (account_id, name);"
    "CREATE TABLE group_peer ("
    "  group_id text NOT NULL REFERENCES account_group ON DELETE CASCADE,"
    "  peer_id text NOT NULL REFERENCES peer ON DELETE CASCADE,"
    "  PRIMARY KEY (group_id, peer_id)"
    ");"
    "CREATE INDEX group_peer_peer ON group_peer (peer_id);"
    "CREATE TABLE group_resource ("
    "  group_id text NOT NULL REFERENCES account_group ON DELETE CASCADE,"
    "  resource_id text NOT NULL,"
    "  resource_type text NOT NULL,"
    "  PRIMARY KEY (group_id, resource_id)"
    ");"
    "CREATE TABLE policy ("
    "  id text PRIMARY KEY,"
    "  public_id text NOT NULL,"
    "  account_id text NOT NULL REFERENCES account ON DELETE CASCADE,"
    "  name text NOT NULL,"
    "  description text NOT NULL DEFAULT '',"
    "  enabled boolean NOT NULL,"
    "  source_posture_checks text[],"
    "  created_at timestamptz NOT NULL DEFAULT now()"
    ");"
    "CREATE INDEX policy_account ON policy (account_id);"
    "CREATE TABLE policy_rule ("
    "  policy_id text NOT NULL REFERENCES policy ON DELETE CASCADE,"
    "  position integer NOT NULL,"
    "  id text NOT NULL,"
    "  name text NOT NULL DEFAULT '',"
    "  description text NOT NULL DEFAULT '',"
    "  enabled boolean NOT NULL,"
    "  action text NOT NULL CHECK (action IN ('accept','drop')),"
    "  protocol text NOT NULL CHECK (protocol IN ('all','tcp','udp','icmp','netbird-ssh')),"
    "  bidirectional boolean NOT NULL,"
    "  sources text[] NOT NULL DEFAULT '{}',"
    "  destinations text[] NOT NULL DEFAULT '{}',"
    "  source_resource_id text,"
    "  source_resource_type text,"
    "  destination_resource_id text,"
    "  destination_resource_type text,"
    "  ports text[] NOT NULL DEFAULT '{}',"
    "  port_ranges text[] NOT NULL DEFAULT '{}'," /* 'start-end'; the API lets start exceed end */
    "  authorized_groups jsonb,"
    "  PRIMARY KEY (policy_id, position)"
    ");"
    "CREATE TABLE event ("
    "  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    "  account_id text NOT NULL REFERENCES account ON DELETE CASCADE,"
    "  at timestamptz NOT NULL DEFAULT clock_timestamp(),"
    "  code text NOT NULL,"
    "  initiator_id text NOT NULL,"
    "  target_id text NOT NULL,"
    "  meta jsonb NOT NULL DEFAULT '{}'"
    ");"
    "CREATE INDEX event_account ON event (account_id, id DESC);"
    "CREATE TABLE secret ("
    "  name text PRIMARY KEY,"
    "  sealed bytea NOT NULL,"
    "  created_at timestamptz NOT NULL DEFAULT now()"
    ");";

/*
 * Who holds streams. `peer_status.replica` names a row here; one without a row counts as dead, so
 * whoever ran before there was a registry gets an hour to be replaced.
 */
static const char replicas[] =
    "CREATE TABLE replica (name text PRIMARY KEY, beat timestamptz NOT NULL);"
    "CREATE INDEX peer_status_connected ON peer_status (replica) WHERE connected;"
    "INSERT INTO replica (name, beat) SELECT DISTINCT replica, now() + interval '1 hour' "
    "FROM peer_status WHERE connected;";

/*
 * Everything else an administrator configures. References to groups are arrays of ids, checked by
 * the rules that write them; `due` holds what must happen at a time, claimed by whichever replica
 * is alive.
 */
static const char whole_map[] =
    "CREATE TABLE posture_check ("
    "  id text PRIMARY KEY,"
    "  public_id text NOT NULL,"
    "  account_id text NOT NULL REFERENCES account ON DELETE CASCADE,"
    "  name text NOT NULL,"
    "  description text NOT NULL DEFAULT '',"
    "  checks jsonb NOT NULL," /* the member `checks` of the REST object PostureCheck */
    "  created_at timestamptz NOT NULL DEFAULT now()"
    ");"
    "CREATE INDEX posture_check_account ON posture_check (account_id);"
    "CREATE TABLE route ("
    "  id text PRIMARY KEY,"
    "  public_id text NOT NULL,"
    "  account_id text NOT NULL REFERENCES account ON DELETE CASCADE,"
    "  net_id text NOT NULL,"
    "  description text NOT NULL DEFAULT '',"
    "  network cidr,"                         /* NULL for a domain route */
    "  domains text[] NOT NULL DEFAULT '{}'," /* lower-case punycode */
    "  peer_id text NOT NULL DEFAULT '',"     /* '' with peer_groups */
    "  peer_groups text[] NOT NULL DEFAULT '{}',"
    "  groups text[] NOT NULL,"
    "  access_control_groups text[] NOT NULL DEFAULT '{}',"
    "  metric integer NOT NULL,"
    "  masquerade boolean NOT NULL,"
    "  keep_route boolean NOT NULL DEFAULT false,"
    "  skip_auto_apply boolean NOT NULL DEFAULT false,"
    "  enabled boolean NOT NULL,"
    "  created_at timestamptz NOT NULL DEFAULT now()"
    ");"
    "CREATE INDEX route_account ON route (account_id);"
    "CREATE TABLE network ("
    "  id text PRIMARY KEY,"
    "  public_id text NOT NULL,"
    "  account_id text NOT NULL REFERENCES account ON DELETE CASCADE,"
    "  name text NOT NULL,"
    "  description text NOT NULL DEFAULT '',"
    "  created_at timestamptz NOT NULL DEFAULT now()"
    ");"
    "CREATE INDEX network_account ON network (account_id);"
    /* Which groups hold a resource is in group_resource. */
    "CREATE TABLE network_resource ("
    "  id text PRIMARY KEY,"
    "  public_id text NOT NULL,"
    "  account_id text NOT NULL REFERENCES account ON DELETE CASCADE,"
    "  network_id text NOT NULL REFERENCES network ON DELETE CASCADE,"
    "  name text NOT NULL,"
    "  description text NOT NULL DEFAULT '',"
    "  type text NOT NULL CHECK (type IN ('host','subnet','domain')),"
    "  prefix inet," /* host and subnet; host bits are kept */
    "  domain text NOT NULL DEFAULT '',"
    "  enabled boolean NOT NULL,"
    "  created_at timestamptz NOT NULL DEFAULT now(),"
    "  CONSTRAINT network_resource_name UNIQUE (account_id, name)"
    ");"
    "CREATE INDEX network_resource_network ON network_resource (network_id);"
    "CREATE TABLE network_router ("
    "  id text PRIMARY KEY,"
    "  public_id text NOT NULL,"
    "  account_id text NOT NULL REFERENCES account ON DELETE CASCADE,"
    "  network_id text NOT NULL REFERENCES network ON DELETE CASCADE,"
    "  peer_id text NOT NULL DEFAULT ''," /* '' with peer_groups */
    "  peer_groups text[] NOT NULL DEFAULT '{}',"
    "  metric integer NOT NULL,"
    "  masquerade boolean NOT NULL,"
    "  enabled boolean NOT NULL,"
    "  created_at timestamptz NOT NULL DEFAULT now()"
    ");"
    "CREATE INDEX network_router_account ON network_router (account_id);"
    "CREATE INDEX network_router_network ON network_router (network_id);"
    "CREATE TABLE nameserver_group ("
    "  id text PRIMARY KEY,"
    "  public_id text NOT NULL,"
    "  account_id text NOT NULL REFERENCES account ON DELETE CASCADE,"
    "  name text NOT NULL,"
    "  description text NOT NULL DEFAULT '',"
    "  nameservers jsonb NOT NULL," /* as in REST: ip, ns_type, port */
    "  groups text[] NOT NULL,"
    "  domains text[]," /* NULL and empty are echoed apart */
    "  is_primary boolean NOT NULL,"
    "  search_domains_enabled boolean NOT NULL,"
    "  enabled boolean NOT NULL,"
    "  created_at timestamptz NOT NULL DEFAULT now(),"
    "  CONSTRAINT nameserver_group_name UNIQUE (account_id, name)"
    ");"
    "CREATE TABLE zone ("
    "  id text PRIMARY KEY,"
    "  account_id text NOT NULL REFERENCES account ON DELETE CASCADE,"
    "  name text NOT NULL,"
    "  domain text NOT NULL,"
    "  enabled boolean NOT NULL,"
    "  enable_search_domain boolean NOT NULL,"
    "  distribution_groups text[] NOT NULL,"
    "  created_at timestamptz NOT NULL DEFAULT now(),"
    "  CONSTRAINT zone_domain UNIQUE (account_id, domain)"
    ");"
    "CREATE TABLE zone_record ("
    "  id text PRIMARY KEY,"
    "  zone_id text NOT NULL REFERENCES zone ON DELETE CASCADE,"
    "  name text NOT NULL,"
    "  type text NOT NULL CHECK (type IN ('A','AAAA','CNAME')),"
    "  content text NOT NULL,"
    "  ttl bigint NOT NULL,"
    "  created_at timestamptz NOT NULL DEFAULT now(),"
    "  CONSTRAINT zone_record_once UNIQUE (zone_id, name, type, content)"
    ");"
    "CREATE TABLE peer_job ("
    "  id text PRIMARY KEY,"
    "  account_id text NOT NULL REFERENCES account ON DELETE CASCADE,"
    "  peer_id text NOT NULL REFERENCES peer ON DELETE CASCADE,"
    "  created_at timestamptz NOT NULL DEFAULT now(),"
    "  completed_at timestamptz,"
    "  status text NOT NULL CHECK (status IN ('pending','succeeded','failed')),"
    "  failed_reason text NOT NULL DEFAULT '',"
    "  triggered_by text NOT NULL,"
    "  workload jsonb NOT NULL"
    ");"
    "CREATE INDEX peer_job_peer ON peer_job (peer_id, created_at DESC);"
    "CREATE UNIQUE INDEX peer_job_pending ON peer_job (peer_id) WHERE status = 'pending';"
    /* One row an object and kind of deadline; whoever acts on it deletes or moves it in the same
     * transaction. */
    "CREATE TABLE due ("
    "  kind text NOT NULL," /* 'ephemeral', 'login', 'inactivity', ... */
    "  object_id text NOT NULL,"
    "  account_id text NOT NULL REFERENCES account ON DELETE CASCADE,"
    "  at timestamptz NOT NULL,"
    "  PRIMARY KEY (kind, object_id)"
    ");"
    "CREATE INDEX due_at ON due (at);"
    "CREATE INDEX due_account ON due (account_id);"
    "ALTER TABLE account ADD COLUMN dns_disabled_groups text[] NOT NULL DEFAULT '{}';"
    "ALTER TABLE policy_rule ADD COLUMN authorized_user text NOT NULL DEFAULT '';"
    /* Where a peer connects from, as posture checks and REST see it. */
    "ALTER TABLE peer ADD COLUMN location_ip text NOT NULL DEFAULT '',"
    "  ADD COLUMN country_code text NOT NULL DEFAULT '',"
    "  ADD COLUMN city_name text NOT NULL DEFAULT '',"
    "  ADD COLUMN geoname_id bigint NOT NULL DEFAULT 0;"
    /* The fields an event changed: {"name": {"before": ..., "after": ...}, ...}. */
    "ALTER TABLE event ADD COLUMN changes jsonb;";

/* Events name people who are gone; an audit trail is searched by what it tells of. */
static const char audit_trail[] =
    "CREATE TABLE departed_user ("
    "  id text PRIMARY KEY,"
    "  account_id text NOT NULL REFERENCES account ON DELETE CASCADE,"
    "  name text NOT NULL,"
    "  email text NOT NULL,"
    "  at timestamptz NOT NULL DEFAULT now()"
    ");"
    "CREATE INDEX event_target ON event (account_id, target_id, id DESC);"
    "CREATE INDEX event_initiator ON event (account_id, initiator_id, id DESC);";

/* What every part of identity leans on. Users of the embedded provider are rows of `users`. */
static const char identity[] =
    /* Keys of the embedded provider. One signs from signs_from to signs_until, and is published
     * until kept_until. */
    "CREATE TABLE signing_key ("
    "  kid text PRIMARY KEY," /* 40 hexadecimal digits */
    "  public_jwk jsonb NOT NULL,"
    "  sealed bytea NOT NULL," /* the private key in PKCS#8 DER, sealed as "signing_key/<kid>" */
    "  created_at timestamptz NOT NULL DEFAULT now(),"
    "  signs_from timestamptz NOT NULL,"
    "  signs_until timestamptz NOT NULL,"
    "  kept_until timestamptz NOT NULL"
    ");"
    /* An identity provider that people may sign in with. */
    "CREATE TABLE connector ("
    "  id text PRIMARY KEY," /* part of the subject of its users */
    "  account_id text NOT NULL REFERENCES account ON DELETE CASCADE,"
    "  type text NOT NULL,"
    "  name text NOT NULL,"
    "  issuer text NOT NULL DEFAULT '',"
    "  client_id text NOT NULL,"
    "  sealed_secret bytea NOT NULL," /* sealed as "connector/<id>" */
    "  created_at timestamptz NOT NULL DEFAULT now()"
    ");"
    "CREATE INDEX connector_account ON connector (account_id);"
    /* Tokens that have logged an agent in; none does so twice. */
    "CREATE TABLE used_token ("
    "  hash bytea PRIMARY KEY," /* SHA-256 of the token */
    "  expires_at timestamptz NOT NULL"
    ");"
    "CREATE INDEX used_token_expires ON used_token (expires_at);";

/*
 * The embedded provider. Ids are SHA-256 of what a browser or a client holds. A row is good until
 * expires_at; afterwards anybody may delete it.
 */
static const char provider[] =
    /* Somebody is being asked who they are. */
    "CREATE TABLE oauth_login ("
    "  id bytea PRIMARY KEY,"
    "  browser bytea NOT NULL," /* SHA-256 of the page cookie */
    "  client_id text NOT NULL,"
    "  redirect_uri text NOT NULL DEFAULT ''," /* '' for a device */
    "  scope text NOT NULL,"
    "  state text NOT NULL DEFAULT '',"
    "  nonce text NOT NULL DEFAULT '',"
    "  code_challenge text NOT NULL DEFAULT '',"
    "  connector_id text NOT NULL DEFAULT '',"
    "  login_hint text NOT NULL DEFAULT '',"
    "  fresh boolean NOT NULL DEFAULT false,"
    "  device bytea,"  /* oauth_device.id */
    "  session bytea," /* the session that a device waits to be approved by */
    "  note bytea,"    /* sealed as "login/<id in hexadecimal>" */
    "  created_at timestamptz NOT NULL DEFAULT now(),"
    "  expires_at timestamptz NOT NULL"
    ");"
    "CREATE INDEX oauth_login_expires ON oauth_login (expires_at);"
    /* A browser that somebody has signed in with. */
    "CREATE TABLE oauth_session ("
    "  id bytea PRIMARY KEY,"
    "  user_id text NOT NULL," /* may have no row in users yet */
    "  connector_id text NOT NULL,"
    "  identity jsonb NOT NULL,"
    "  second_factor boolean NOT NULL,"
    "  remember boolean NOT NULL,"
    "  auth_time timestamptz NOT NULL,"
    "  used_at timestamptz NOT NULL,"
    "  expires_at timestamptz NOT NULL"
    ");"
    "CREATE INDEX oauth_session_user ON oauth_session (user_id);"
    "CREATE INDEX oauth_session_connector ON oauth_session (connector_id);"
    "CREATE INDEX oauth_session_expires ON oauth_session (expires_at);"
    /* What a client was given: tokens name it, and die with it where we are asked about them. With
     * offline_access it is a family of refresh tokens, of which number `generation` is good. */
    "CREATE TABLE oauth_grant ("
    "  id bytea PRIMARY KEY," /* 16 random bytes, no secret */
    "  user_id text NOT NULL,"
    "  connector_id text NOT NULL,"
    "  client_id text NOT NULL,"
    "  scope text NOT NULL,"
    "  identity jsonb NOT NULL,"
    "  auth_time timestamptz NOT NULL,"
    "  refresh_key bytea," /* sealed as "refresh/<id in hexadecimal>"; NULL without refresh */
    "  generation bigint NOT NULL DEFAULT 0,"
    "  rotated_at timestamptz NOT NULL DEFAULT now(),"
    "  created_at timestamptz NOT NULL DEFAULT now(),"
    "  expires_at timestamptz NOT NULL,"
    "  last_at timestamptz NOT NULL" /* no use moves expires_at beyond it */
    ");"
    "CREATE INDEX oauth_grant_user ON oauth_grant (user_id, client_id);"
    "CREATE INDEX oauth_grant_connector ON oauth_grant (connector_id);"
    "CREATE INDEX oauth_grant_expires ON oauth_grant (expires_at);"
    /* An authorization code. Kept after its use, so that a second one is noticed. */
    "CREATE TABLE oauth_code ("
    "  id bytea PRIMARY KEY,"
    "  client_id text NOT NULL,"
    "  redirect_uri text NOT NULL,"
    "  scope text NOT NULL,"
    "  nonce text NOT NULL,"
    "  code_challenge text NOT NULL,"
    "  session bytea NOT NULL,"
    "  user_id text NOT NULL,"
    "  connector_id text NOT NULL,"
    "  identity jsonb NOT NULL,"
    "  auth_time timestamptz NOT NULL,"
    "  good_until timestamptz NOT NULL,"
    "  used_at timestamptz,"
    "  grant_id bytea," /* what it was redeemed for */
    "  expires_at timestamptz NOT NULL"
    ");"
    "CREATE INDEX oauth_code_user ON oauth_code (user_id);"
    "CREATE INDEX oauth_code_connector ON oauth_code (connector_id);"
    "CREATE INDEX oauth_code_expires ON oauth_code (expires_at);"
    /* A device that waits for somebody to say yes. */
    "CREATE TABLE oauth_device ("
    "  id bytea PRIMARY KEY," /* of the device code */
    "  user_code bytea NOT NULL UNIQUE,"
    "  sealed_code bytea NOT NULL," /* the user code, sealed as "device/<id in hexadecimal>" */
    "  client_id text NOT NULL,"
    "  scope text NOT NULL,"
    "  remote_ip text NOT NULL,"
    "  answer text NOT NULL DEFAULT '' CHECK (answer IN ('','approved','denied')),"
    "  user_id text,"
    "  connector_id text,"
    "  identity jsonb,"
    "  auth_time timestamptz,"
    "  polled_at timestamptz,"
    "  created_at timestamptz NOT NULL DEFAULT now(),"
    "  good_until timestamptz NOT NULL,"
    "  expires_at timestamptz NOT NULL" /* until then an old code is told to be one */
    ");"
    "CREATE INDEX oauth_device_from ON oauth_device (remote_ip, good_until);"
    "CREATE INDEX oauth_device_expires ON oauth_device (expires_at);"
    /* How often somebody has tried something lately. */
    "CREATE TABLE oauth_limit ("
    "  name text PRIMARY KEY,"
    "  tries integer NOT NULL,"
    "  expires_at timestamptz NOT NULL"
    ");"
    "CREATE INDEX oauth_limit_expires ON oauth_limit (expires_at);";

/* Invitation links, and how often somebody may try something. */
static const char invites[] =
    "CREATE TABLE user_invite ("
    "  id text PRIMARY KEY,"
    "  account_id text NOT NULL REFERENCES account ON DELETE CASCADE,"
    "  name text NOT NULL,"
    "  email text NOT NULL,"
    "  role text NOT NULL,"
    "  auto_groups text[] NOT NULL DEFAULT '{}',"
    "  hash text NOT NULL UNIQUE," /* standard base64 of the token's SHA-256 */
    "  created_by text NOT NULL,"
    "  created_at timestamptz NOT NULL DEFAULT now(),"
    "  expires_at timestamptz NOT NULL"
    ");"
    "CREATE UNIQUE INDEX user_invite_email ON user_invite (account_id, lower(email));"
    "CREATE TABLE rate_bucket ("
    "  name text NOT NULL,"
    "  who text NOT NULL,"
    "  tokens double precision NOT NULL," /* left at this time; see rules/rate.h */
    "  at timestamptz NOT NULL,"
    "  PRIMARY KEY (name, who)"
    ");"
    "CREATE INDEX rate_bucket_at ON rate_bucket (at);";

/* Users who have yet to sign in, with an id that is no subject. */
static const char invited_users[] =
    "ALTER TABLE users ADD COLUMN invited boolean NOT NULL DEFAULT false;"
    "CREATE UNIQUE INDEX users_invited_email ON users (account_id, lower(email)) WHERE invited;";

/* Second factors of local users, and how often passwords and codes were guessed. */
static const char factors[] =
    "CREATE TABLE password_guess ("
    "  name text PRIMARY KEY," /* what of, and a digest of whose */
    "  tries integer NOT NULL,"
    "  free_at timestamptz NOT NULL," /* when the next is looked at */
    "  expires_at timestamptz NOT NULL"
    ");"
    "CREATE INDEX password_guess_expires ON password_guess (expires_at);"
    "CREATE TABLE user_factor ("
    "  user_id text PRIMARY KEY REFERENCES users ON DELETE CASCADE,"
    "  sealed_totp bytea NOT NULL," /* sealed as "totp/<user id>" */
    "  last_step bigint NOT NULL,"  /* of the code used last: none is used twice */
    "  created_at timestamptz NOT NULL DEFAULT now()"
    ");"
    "CREATE TABLE recovery_code ("
    "  user_id text NOT NULL REFERENCES user_factor ON DELETE CASCADE,"
    "  digest bytea NOT NULL," /* under the deployment's key */
    "  PRIMARY KEY (user_id, digest)"
    ");"
    "CREATE TABLE passkey ("
    "  id bytea PRIMARY KEY," /* the authenticator's */
    "  user_id text NOT NULL REFERENCES user_factor ON DELETE CASCADE,"
    "  algorithm integer NOT NULL," /* of COSE */
    "  public_key bytea NOT NULL,"
    "  sign_count bigint NOT NULL,"
    "  created_at timestamptz NOT NULL DEFAULT now(),"
    "  used_at timestamptz"
    ");"
    "CREATE INDEX passkey_user ON passkey (user_id);";

/* Tokens of reverse proxies. */
static const char proxy_tokens[] =
    "CREATE TABLE proxy_token ("
    "  id text PRIMARY KEY,"
    "  account_id text NOT NULL REFERENCES account ON DELETE CASCADE,"
    "  name text NOT NULL,"
    "  hash text NOT NULL UNIQUE," /* standard base64 of the token's SHA-256 */
    "  created_by text NOT NULL,"
    "  created_at timestamptz NOT NULL DEFAULT now(),"
    "  expires_at timestamptz,"
    "  last_used timestamptz,"
    "  revoked boolean NOT NULL DEFAULT false"
    ");"
    "CREATE INDEX proxy_token_account ON proxy_token (account_id);";

/*
 * What directories have said over SCIM. scim_user.user_id is the user a person has become, and
 * scim_group.group_id the account's group; email_keys are what its addresses are found by.
 */
static const char provisioning[] =
    "CREATE TABLE scim_integration ("
    "  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    "  account_id text NOT NULL REFERENCES account ON DELETE CASCADE,"
    "  enabled boolean NOT NULL,"
    "  prefix text NOT NULL,"
    "  provider text NOT NULL,"
    "  connector_id text NOT NULL," /* '' = none */
    "  group_prefixes text[] NOT NULL,"
    "  user_group_prefixes text[] NOT NULL,"
    "  token_hash text NOT NULL UNIQUE,"
    "  token_masked text NOT NULL,"
    "  created_at timestamptz NOT NULL DEFAULT now(),"
    "  last_synced_at timestamptz"
    ");"
    "CREATE INDEX scim_integration_account ON scim_integration (account_id);"
    "CREATE TABLE scim_user ("
    "  id text PRIMARY KEY,"
    "  seq bigint GENERATED ALWAYS AS IDENTITY," /* the order of lists */
    "  integration_id bigint NOT NULL REFERENCES scim_integration ON DELETE CASCADE,"
    "  user_id text UNIQUE REFERENCES users ON DELETE SET NULL,"
    "  user_name text NOT NULL,"
    "  external_id text NOT NULL,"
    "  name text NOT NULL,"
    "  email text NOT NULL,"
    "  email_keys text[] NOT NULL,"
    "  active boolean NOT NULL,"
    "  blocked boolean NOT NULL DEFAULT false," /* the user, by us */
    "  resource jsonb NOT NULL,"                /* the attributes as they were sent */
    "  version bigint NOT NULL DEFAULT 1,"
    "  created_at timestamptz NOT NULL DEFAULT now(),"
    "  updated_at timestamptz NOT NULL DEFAULT now()"
    ");"
    "CREATE INDEX scim_user_page ON scim_user (integration_id, seq);"
    "CREATE UNIQUE INDEX scim_user_name ON scim_user (integration_id, lower(user_name));"
    "CREATE UNIQUE INDEX scim_user_external ON scim_user (integration_id, external_id) WHERE "
    "external_id <> '';"
    "CREATE INDEX scim_user_display ON scim_user (integration_id, lower(resource->>'displayName'));"
    "CREATE INDEX scim_user_email ON scim_user (integration_id, lower(email)) WHERE user_id IS "
    "NULL;"
    "CREATE INDEX scim_user_emails ON scim_user USING gin (email_keys);"
    "CREATE TABLE scim_group ("
    "  id text PRIMARY KEY,"
    "  seq bigint GENERATED ALWAYS AS IDENTITY,"
    "  integration_id bigint NOT NULL REFERENCES scim_integration ON DELETE CASCADE,"
    "  group_id text UNIQUE REFERENCES account_group ON DELETE SET NULL,"
    "  name text NOT NULL,"
    "  external_id text NOT NULL,"
    "  version bigint NOT NULL DEFAULT 1,"
    "  created_at timestamptz NOT NULL DEFAULT now(),"
    "  updated_at timestamptz NOT NULL DEFAULT now()"
    ");"
    "CREATE INDEX scim_group_page ON scim_group (integration_id, seq);"
    "CREATE UNIQUE INDEX scim_group_name ON scim_group (integration_id, lower(name));"
    "CREATE UNIQUE INDEX scim_group_external ON scim_group (integration_id, external_id) WHERE "
    "external_id <> '';"
    "CREATE TABLE scim_member ("
    "  group_id text NOT NULL REFERENCES scim_group ON DELETE CASCADE,"
    "  user_id text NOT NULL REFERENCES scim_user ON DELETE CASCADE,"
    "  PRIMARY KEY (group_id, user_id)"
    ");"
    "CREATE INDEX scim_member_user ON scim_member (user_id);"
    "CREATE TABLE scim_log ("
    "  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,"
    "  integration_id bigint NOT NULL REFERENCES scim_integration ON DELETE CASCADE,"
    "  at timestamptz NOT NULL DEFAULT clock_timestamp(),"
    "  level text NOT NULL CHECK (level IN ('info','warning','error')),"
    "  message text NOT NULL"
    ");"
    "CREATE INDEX scim_log_page ON scim_log (integration_id, id);"
    /* Peers follow their users' groups. */
    "CREATE INDEX peer_user ON peer (user_id);";

/* Written whenever peers of the account come or go, so that who has read them knows when to read
 * again. A row of its own: that of the account is locked by its writers. */
static const char presence_noted[] =
    "CREATE TABLE account_presence ("
    "  account_id text PRIMARY KEY REFERENCES account ON DELETE CASCADE,"
    "  times bigint NOT NULL DEFAULT 1"
    ") WITH (fillfactor = 50);";

/* One row. From `since` on somebody beat again and again; `beat` is the last of them all. */
static const char replicas_watched[] = "CREATE TABLE replica_watch ("
                                       "  one boolean PRIMARY KEY DEFAULT true CHECK (one),"
                                       "  since timestamptz NOT NULL,"
                                       "  beat timestamptz NOT NULL"
                                       ");";

/* An agent that got no answer asks again with the same token: it alone may, and not for long. Those
 * taken before have no key, and nobody may. */
static const char tokens_of_peers[] =
    "ALTER TABLE used_token ADD COLUMN peer_key bytea NOT NULL DEFAULT '',"
    "  ADD COLUMN claimed_at timestamptz NOT NULL DEFAULT now();";

/* Providers that name themselves by the address that they send people back to. */
static const char own_redirects[] =
    "ALTER TABLE connector ADD COLUMN own_redirect_uri boolean NOT NULL DEFAULT false;";

/* In which browser a grant began: who signs out there ends what came of it. */
static const char grant_sessions[] = "ALTER TABLE oauth_grant ADD COLUMN session bytea;"
                                     "CREATE INDEX oauth_grant_session ON oauth_grant (session);";

/* What made the change, so that a replica which sends it out can say whose work it does. */
static const char traces_of_changes[] = "ALTER TABLE account_change ADD COLUMN trace text;";

/* Relays and STUN servers that are there by themselves. A row outlives its lease for a while, so
 * that one that is configured as well is known to be gone. */
static const char edges[] =
    "CREATE TABLE edge ("
    "  url text NOT NULL,"
    "  who bigint NOT NULL," /* one process of those behind it */
    "  region text NOT NULL,"
    "  latitude_e4 integer," /* degrees times 10,000; NULL = not known */
    "  longitude_e4 integer,"
    "  capacity bigint NOT NULL," /* connections; 0 = no bound */
    "  load bigint NOT NULL,"
    "  crowded boolean NOT NULL,"
    "  leaving boolean NOT NULL,"
    "  drained boolean NOT NULL,"           /* by an operator; the same in all rows of a URL */
    "  told boolean NOT NULL DEFAULT true," /* false: of `drained` nobody knows yet */
    "  said_at timestamptz NOT NULL,"       /* by its own clock */
    "  expires_at timestamptz NOT NULL,"
    "  PRIMARY KEY (url, who)"
    ") WITH (fillfactor = 50);";

/* A list of what is not yet in the index has to be read by every search, so that many new people
 * make the planner read the whole table instead, until somebody vacuums it. */
static const char addresses_at_once[] = "ALTER INDEX scim_user_emails SET (fastupdate = off);"
                                        "SELECT gin_clean_pending_list('scim_user_emails');";

const struct rk_migration rk_migrations[] = {
    { 1, "first mesh", first_mesh },
    { 2, "replicas", replicas },
    { 3, "whole map", whole_map },
    { 4, "audit trail", audit_trail },
    { 5, "identity", identity },
    { 6, "provider", provider },
    { 7, "invites", invites },
    { 8, "invited users", invited_users },
    { 9, "factors", factors },
    { 10, "proxy tokens", proxy_tokens },
    { 11, "provisioning", provisioning },
    { 12, "presence noted", presence_noted },
    { 13, "replicas watched", replicas_watched },
    { 14, "tokens of peers", tokens_of_peers },
    { 15, "own redirects", own_redirects },
    { 16, "grants of sessions", grant_sessions },
    { 17, "traces of changes", traces_of_changes },
    { 18, "edges", edges },
    { 19, "addresses at once", addresses_at_once },
};
const size_t rk_migrations_count = RK_COUNT(rk_migrations);
