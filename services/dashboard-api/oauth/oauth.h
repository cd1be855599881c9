#pragma once

/* Handlers of the provider's endpoints, for the table of routes. See authorize.h for two more. */

#include "services/dashboard-api/call.h"

handler_fn oauth_root;
handler_fn oauth_discovery;
handler_fn oauth_keys;
handler_fn oauth_token;
handler_fn oauth_userinfo;
handler_fn oauth_introspect;
handler_fn oauth_device_code;
handler_fn oauth_device_page;
handler_fn oauth_device_verify;
handler_fn oauth_device_approve_page;
handler_fn oauth_device_approve;
handler_fn oauth_logout;
handler_fn oauth_logout_form;
handler_fn oauth_logout_callback;
