#include "libcommon/obs/build.h"

#include <elf.h>
#include <link.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "libcommon/base/encode.h"

struct search {
    char *out;
};

static size_t padded(size_t n)
{
    return (n + 3) & ~(size_t)3;
}

/* Notes of one segment, one behind the other: header, name, bytes. */
static bool look_through(const uint8_t *p, size_t n, char *out)
{
    ElfW(Nhdr) note;

    while (n >= sizeof(note)) {
        size_t name, bytes;

        memcpy(&note, p, sizeof(note));
        name = padded(note.n_namesz);
        bytes = padded(note.n_descsz);
        if (n - sizeof(note) < name + bytes)
            return false;
        if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 &&
            memcmp(p + sizeof(note), "GNU", 4) == 0 && 2 * note.n_descsz <= RK_BUILD_LEN) {
            rk_hex_encode(p + sizeof(note) + name, note.n_descsz, out);
            return true;
        }
        p += sizeof(note) + name + bytes;
        n -= sizeof(note) + name + bytes;
    }
    return false;
}

/* The program itself comes first. */
static int on_object(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct search *s = arg;

    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *h = &info->dlpi_phdr[i];

        if (h->p_type == PT_NOTE &&
            look_through((const uint8_t *)(info->dlpi_addr + h->p_vaddr), h->p_memsz, s->out))
            break;
    }
    return 1;
}

void rk_build_id(char out[RK_BUILD_LEN + 1])
{
    struct search s = { out };

    *out = 0;
    (void)dl_iterate_phdr(on_object, &s);
}
