#pragma once

/* The sentence for each code of the audit trail. Any thread. */

/* The code itself when there is none. */
const char *activity_label(const char *code);
