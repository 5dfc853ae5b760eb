/* SPDX-License-Identifier: MIT */
/* Text of log lines: JSON of ASCII that nobody can break out of, whatever bytes they send.
 * Pure: no lock, no state of its own; a text belongs to one thread. */
#ifndef HW_JSON_H
#define HW_JSON_H

#include <string.h>

#include "hw_config.h"

/* Room for a line as most are; a longer one gets memory of its own. */
#define HW_JSON_FIRST_BYTES 4096

/* A growing text. Once memory ran out, `failed` stays set and nothing more is written. */
typedef struct {
    char *data;
    size_t len;
    size_t size;
    bool failed;
    char first[HW_JSON_FIRST_BYTES];
} hw_json_t;

/* One field of a head. */
typedef struct {
    hw_str_t name;
    hw_str_t value;
} hw_json_field_t;

/* Thread: any. Locks: none. Owns: to be given to hw_json_free(); must not be moved. Fails: never. */
HW_HIDDEN void hw_json_init(hw_json_t *text);

/* Thread: any. Locks: none. Owns: gives the memory back. Fails: never. */
HW_HIDDEN void hw_json_free(hw_json_t *text);

/* Gives room for `len` more bytes, which count as written; inline, because a line is made of many small pieces.
 * Thread: any. Locks: none. Owns: borrowed, until the next call. Fails: NULL, and sets `failed`. */
HW_HIDDEN HW_BORROWED char *hw_json_grow(hw_json_t *text, size_t len);
static inline HW_BORROWED char *hw_json_extend(hw_json_t *text, size_t len)
{
    if (HW_UNLIKELY(text->size - text->len < len)) {
        return hw_json_grow(text, len);
    }
    char *place = text->data + text->len;
    text->len += len;
    return place;
}

/* Appends text as it is, which must be ASCII.
 * Thread: any. Locks: none. Owns: copies. Fails: sets `failed`. */
static inline void hw_json_raw(hw_json_t *text, const char *data, size_t len)
{
    char *place = hw_json_extend(text, len);
    if (place != NULL) {
        memcpy(place, data, len);
    }
}

/* The same for a string constant. */
#define HW_JSON_LITERAL(text, literal) hw_json_raw(text, literal, sizeof(literal) - 1)

/* Appends the inside of a JSON string: bytes as Latin-1; control characters, DEL and all that is not ASCII escaped.
 * Thread: any. Locks: none. Owns: copies. Fails: sets `failed`. */
HW_HIDDEN void hw_json_bytes(hw_json_t *text, const char *data, size_t len);

/* The same for one character of Unicode; beyond 0xffff it is a pair of surrogates.
 * Thread: any. Locks: none. Owns: nothing. Fails: sets `failed`. */
HW_HIDDEN void hw_json_char(hw_json_t *text, uint32_t code);

/* Thread: any. Locks: none. Owns: nothing. Fails: sets `failed`. */
HW_HIDDEN void hw_json_uint(hw_json_t *text, uint64_t value);

/* Appends a number with so many decimals, nine at most; what is negative or no number is 0.
 * Thread: any. Locks: none. Owns: nothing. Fails: sets `failed`. */
HW_HIDDEN void hw_json_fixed(hw_json_t *text, double value, unsigned decimals);

/* Appends the inside of an object of lists: names as `Content-Type`, values of one name together at its first place.
 * Values that are keys to somebody's account, such as those of cookies, are REDACTED.
 * Thread: any. Locks: none. Owns: copies. Fails: sets `failed`. */
HW_HIDDEN void hw_json_headers(hw_json_t *text, const hw_json_field_t *fields, size_t count);

#endif
