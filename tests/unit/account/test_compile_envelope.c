#include "tests/support/test.h"

/*
 * The component envelope: the examples of golden/ that have one, and what must not be lost or let
 * slip on the way. That agents make the same map of it is tested with their own code, in
 * tests/system/differential.
 */

#include "libcommon/account/compile/compile.h"
#include "tests/support/account_maps.h"
#include "tests/support/golden_map.h"

/* --- a message as JSON, without what is unset ----------------------------------------------- */

static json_t *json_of(const ProtobufCMessage *m);

static bool is_map(const ProtobufCFieldDescriptor *f)
{
    const ProtobufCMessageDescriptor *d = f->descriptor;

    return f->label == PROTOBUF_C_LABEL_REPEATED && f->type == PROTOBUF_C_TYPE_MESSAGE &&
           d->n_fields == 2 && strcmp(d->fields[0].name, "key") == 0;
}

/* NULL when it is the default. */
static json_t *value_of(const ProtobufCFieldDescriptor *f, const void *at, bool alone)
{
    const ProtobufCEnumDescriptor *e = f->descriptor;
    const ProtobufCBinaryData *bytes = at;
    char hex[128];

    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
        return alone && !**(char *const *)at ? NULL : json_string(*(char *const *)at);
    case PROTOBUF_C_TYPE_BOOL:
        return *(const protobuf_c_boolean *)at ? json_true() : NULL;
    case PROTOBUF_C_TYPE_ENUM:
        return alone && *(const int *)at == 0
                   ? NULL
                   : json_string(protobuf_c_enum_descriptor_get_value(e, *(const int *)at)->name);
    case PROTOBUF_C_TYPE_MESSAGE:
        return *(ProtobufCMessage *const *)at ? json_of(*(ProtobufCMessage *const *)at) : NULL;
    case PROTOBUF_C_TYPE_BYTES:
        if (bytes->len == 0)
            return NULL;
        assert_true(bytes->len * 2 < sizeof(hex));
        rk_hex_encode(bytes->data, bytes->len, hex);
        return json_string(hex);
    case PROTOBUF_C_TYPE_UINT32:
    case PROTOBUF_C_TYPE_INT32:
        return alone && *(const int32_t *)at == 0 ? NULL : json_integer(*(const int32_t *)at);
    default:
        return alone && *(const int64_t *)at == 0 ? NULL : json_integer(*(const int64_t *)at);
    }
}

static size_t size_of(const ProtobufCFieldDescriptor *f)
{
    switch (f->type) {
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_MESSAGE:
        return sizeof(void *);
    case PROTOBUF_C_TYPE_BYTES:
        return sizeof(ProtobufCBinaryData);
    case PROTOBUF_C_TYPE_UINT32:
        return sizeof(uint32_t);
    default:
        fail_msg("no list of %s was expected", f->name);
        return 0;
    }
}

static json_t *list_of(const ProtobufCFieldDescriptor *f, const uint8_t *base)
{
    size_t n = *(const size_t *)(const void *)(base + f->quantifier_offset);
    const uint8_t *v = *(uint8_t *const *)(const void *)(base + f->offset);
    json_t *out = is_map(f) ? json_object() : json_array();

    for (size_t i = 0; i < n; i++) {
        json_t *one = value_of(f, v + i * size_of(f), false);

        if (!is_map(f)) {
            json_array_append_new(out, one);
            continue;
        }
        json_object_set(out, json_string_value(json_object_get(one, "key")),
                        json_object_get(one, "value"));
        json_decref(one);
    }
    return out;
}

static json_t *json_of(const ProtobufCMessage *m)
{
    const uint8_t *base = (const uint8_t *)m;
    json_t *out = json_object();

    for (unsigned i = 0; i < m->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *f = &m->descriptor->fields[i];
        json_t *v = f->label == PROTOBUF_C_LABEL_REPEATED ? list_of(f, base)
                                                          : value_of(f, base + f->offset, true);

        if (v && (json_is_integer(v) || json_is_string(v) || json_is_boolean(v) ||
                  json_array_size(v) > 0 || json_object_size(v) > 0))
            json_object_set(out, f->name, v);
        json_decref(v);
    }
    return out;
}

/* --- with names in place of places ---------------------------------------------------------- */

static bool is_index(const char *key)
{
    return strstr(key, "peer_index") && !strstr(key, "_set");
}

static bool is_unset(const json_t *v)
{
    return json_is_false(v) || (json_is_integer(v) && json_integer_value(v) == 0) ||
           (json_is_array(v) && json_array_size(v) == 0);
}

/* A copy in which peers have their ids, lists are sorted and nothing is unset. */
static json_t *named(const char *key, json_t *v, json_t *peers)
{
    json_t *out, *one;
    const char *name;
    size_t i;

    if (json_is_integer(v) && is_index(key))
        return json_incref(json_array_get(peers, (size_t)json_integer_value(v)));
    if (json_is_array(v)) {
        out = json_array();
        json_array_foreach(v, i, one) json_array_append_new(out, named(key, one, peers));
        return golden_sorted(out);
    }
    if (!json_is_object(v))
        return json_incref(v);
    out = json_object();
    json_object_foreach(v, name, one)
    {
        if (is_index(name) || !is_unset(one))
            json_object_set_new(out, name, named(name, one, peers));
        if (is_index(name) && is_unset(json_object_get(out, name)))
            json_object_del(out, name);
    }
    if (json_is_true(json_object_get(v, "peer_index_set")) && !json_object_get(v, "peer_index"))
        json_object_set(out, "peer_index",
                        json_array_get(peers, 0)); /* 0 is left out on the wire */
    return out;
}

/* The components of a peer's map in the form of the examples. */
static json_t *components(const struct rk_snapshot *s, const char *id)
{
    rk_auto(rk_buf_done) struct rk_buf b;
    Management__SyncResponse *m;
    Management__NetworkMapComponentsFull *f;
    json_t *out, *peers = json_array(), *records = json_array();

    rk_buf_init(&b, 1 << 20);
    rk_compile_components(s, rk_snapshot_find_id(s, rk_str(id)), NOW_US, &b);
    m = decode(&b);
    assert_int_equal(m->version, 1);
    assert_null(m->networkmap);
    assert_false(m->remotepeersisempty);
    assert_non_null(m->peerconfig);
    assert_non_null(m->sessionexpiresat);
    assert_int_equal(m->networkmapenvelope->payload_case,
                     MANAGEMENT__NETWORK_MAP_ENVELOPE__PAYLOAD_FULL);
    f = m->networkmapenvelope->full;
    assert_int_equal(f->serial, GOLDEN_SERIAL);
    assert_int_equal(f->network->serial, GOLDEN_SERIAL);
    assert_string_equal(f->network->net_cidr, "100.64.0.0/16");
    assert_string_equal(f->dns_domain, "nb.test");
    assert_string_equal(f->user_id_claim, "sub");
    for (size_t i = 0; i < f->n_peers; i++) {
        char key[RK_KEY_B64_LEN + 1];

        assert_int_equal(f->peers[i]->wg_pub_key.len, RK_KEY_LEN);
        rk_b64_encode(f->peers[i]->wg_pub_key.data, RK_KEY_LEN, key);
        json_array_append_new(peers, json_string(golden_of_key(s, key)->id));
    }
    for (size_t i = 0; i < f->n_all_dns_records; i++) {
        const Management__SimpleRecord *r = f->all_dns_records[i];

        json_array_append_new(records,
                              json_sprintf("%s %s %d %s", r->name, r->type == 1 ? "A" : "AAAA",
                                           (int)r->ttl, r->rdata));
    }
    {
        json_t *raw = json_of(&f->base);

        json_object_del(raw, "peers");
        json_object_del(raw, "all_dns_records");
        out = named("", raw, peers);
        json_decref(raw);
    }
    json_object_set_new(out, "peers", golden_sorted(peers));
    json_object_set_new(out, "all_dns_records", golden_sorted(records));
    done(m);
    return out;
}

/* Every member of the fragment is in the components. */
static void expect(json_t *got, json_t *fragment)
{
    json_t *want = named("", fragment, json_object_get(fragment, "peers")), *v;
    const char *name;

    json_object_foreach(want, name, v)
    {
        if (!json_equal(v, json_object_get(got, name)))
            fail_msg("%s: want %s, got %s", name, json_dumps(v, JSON_SORT_KEYS | JSON_ENCODE_ANY),
                     json_dumps(json_object_get(got, name), JSON_SORT_KEYS | JSON_ENCODE_ANY));
    }
    json_decref(want);
}

static void example(const char *name)
{
    json_t *doc = golden_load(RK_SOURCE_DIR, name), *fragment;
    struct rk_snapshot *s = golden_account(json_object_get(doc, "in"));
    const char *id;

    assert_true(json_object_size(json_object_get(doc, "envelope")) > 0);
    json_object_foreach(json_object_get(doc, "envelope"), id, fragment)
    {
        json_t *got = components(s, id);

        expect(got, fragment);
        json_decref(got);
    }
    rk_snapshot_unref(s);
    json_decref(doc);
}

static void the_worked_examples_hold(void **state)
{
    (void)state;
    example("default_policy");
    example("posture");
    example("resource");
}

/* The components of one peer of an account, against a fragment. */
static void check(const char *account, const char *peer, const char *want)
{
    json_t *in = golden_parse(account), *fragment = golden_parse(want), *got;
    struct rk_snapshot *s = golden_account(in);

    got = components(s, peer);
    expect(got, fragment);
    json_decref(got);
    json_decref(in);
    json_decref(fragment);
    rk_snapshot_unref(s);
}

static void an_unapproved_peer_gets_itself_alone_and_no_dns(void **state)
{
    (void)state;
    check("{'peers':{'A':{},'B':{}},'unapproved':['B'],'policies':[{'id':'x','rules':[{'id':'x',"
          "'proto':'all','bidir':true,'src':['gAll'],'dst':['gAll']}]}]}",
          "B",
          "{'peers':['B'],'groups':[{'id':'-','peer_indexes':[0]}],"
          "'dns_settings':{'disabled_management_group_ids':['-']}}");
}

static void an_unapproved_router_is_not_shipped(void **state)
{
    (void)state;
    check("{'peers':{'A':{},'B':{},'C':{}},'unapproved':['B'],'groups':{'gR':['A','B']},"
          "'resources':[{'id':'s','net':'m','name':'lan','prefix':'10.0.0.0/8'}],"
          "'routers':[{'id':'t','net':'m','groups':['gR'],'metric':1}],'policies':[{'id':'x',"
          "'rules':[{'id':'x','proto':'all','srcRes':['peer','C'],'dstRes':['subnet','s']}]}]}",
          "C",
          "{'peers':['C','A'],'routers_map':{'Pm':{'entries':[{'id':'Pt','peer_index':1,"
          "'peer_index_set':true,'metric':1,'enabled':true}]}},'router_peer_indexes':[1],"
          "'policies':[{'id':'Px','protocol':'ALL','source_resource':{'type':'peer',"
          "'peer_index_set':true,'peer_index':0},'destination_resource':{'type':'subnet'}}]}");
}

/* Who may log in, and as whom, is the destination's business alone. */
static void users_are_told_to_whom_they_log_in(void **state)
{
    static const char account[] =
        "{'peers':{'A':{},'B':{'userId':'ann'}},'groups':{'gS':['A'],'gC':['B'],'gU':[]},"
        "'users':{'ann':{'groups':['gU']},'bob':{'groups':['gU'],'blocked':true},'cid':{}},"
        "'policies':[{'id':'x','rules':[{'id':'x','proto':'netbird-ssh','src':['gC'],"
        "'dst':['gS'],'authGroups':{'gU':['root']}}]}]}";

    (void)state;
    /* gU is no group of the rule, and its members are known all the same. */
    check(account, "A",
          "{'group_id_to_user_ids':{'PgU':{'user_ids':['ann']}},'policies':[{'id':'Px',"
          "'protocol':'NETBIRD_SSH','ports':[22],'source_group_ids':['PgC'],"
          "'destination_group_ids':['PgS'],'authorized_groups':{'PgU':{'names':['root']}}}]}");
    check(account, "B",
          "{'policies':[{'id':'Px','protocol':'NETBIRD_SSH','ports':[22],"
          "'source_group_ids':['PgC'],'destination_group_ids':['PgS']}]}");
}

static void each_rule_of_a_policy_has_an_id_of_its_own(void **state)
{
    (void)state;
    check("{'peers':{'A':{},'B':{}},'policies':[{'id':'x','rules':[{'id':'x','proto':'icmp',"
          "'src':['gAll'],'dst':['gAll']},{'id':'y','proto':'tcp','src':['gAll'],"
          "'dst':['gAll'],'off':true},{'id':'z','proto':'udp','src':['gAll'],'dst':['gAll'],"
          "'ranges':[[1,9]]}]}]}",
          "A",
          "{'policies':[{'id':'Px','protocol':'ICMP','source_group_ids':['PgAll'],"
          "'destination_group_ids':['PgAll']},{'id':'Px:2','protocol':'UDP',"
          "'port_ranges':[{'start':1,'end':9}],'source_group_ids':['PgAll'],"
          "'destination_group_ids':['PgAll']}]}");
}

/* Where it drops whatever the check says, and opens nothing where the check fails. */
static void a_checked_drop_to_a_route_and_a_resource_is_two_policies(void **state)
{
    (void)state;
    check("{'peers':{'A':{},'B':{}},'groups':{'gR':['B'],'gX':{'res':['s']}},"
          "'posture':{'c':{'nbMinVersion':'99.0.0'}},"
          "'resources':[{'id':'s','net':'m','name':'lan','prefix':'10.0.0.0/8'}],"
          "'routers':[{'id':'t','net':'m','peer':'B','metric':1}],'routes':[{'id':'r','netid':'r',"
          "'prefix':'10.60.0.0/24','peer':'B','groups':['gAll'],'acg':['gR'],'metric':1}],"
          "'policies':[{'id':'x','checks':['c'],'rules':[{'id':'x','action':'drop','proto':'tcp',"
          "'srcRes':['peer','A'],'dst':['gR','gX']}]}]}",
          "B",
          "{'peers':['B','A'],'policies':[{'id':'Px','action':'DROP','protocol':'TCP',"
          "'source_resource':{'type':'peer','peer_index_set':true,'peer_index':1},"
          "'source_posture_check_ids':['Pc']},{'id':'Px!','action':'DROP','protocol':'TCP',"
          "'source_resource':{'type':'peer','peer_index_set':true,'peer_index':1},"
          "'destination_group_ids':['PgR','PgX']}],"
          "'resource_policies_map':{'Ps':{'ids':['Px']}}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_worked_examples_hold),
        cmocka_unit_test(an_unapproved_peer_gets_itself_alone_and_no_dns),
        cmocka_unit_test(an_unapproved_router_is_not_shipped),
        cmocka_unit_test(users_are_told_to_whom_they_log_in),
        cmocka_unit_test(each_rule_of_a_policy_has_an_id_of_its_own),
        cmocka_unit_test(a_checked_drop_to_a_route_and_a_resource_is_two_policies),
    };

    return RUN_TESTS(tests);
}
