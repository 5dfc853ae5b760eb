/* SPDX-License-Identifier: MIT */
#include "hw_json.h"

#include <stdlib.h>
#include <string.h>

/* Digits of the largest uint64_t. */
#define MOST_DIGITS 20

static const char hex[] = "0123456789abcdef";

void hw_json_init(hw_json_t *text)
{
    text->data = text->first;
    text->len = 0;
    text->size = sizeof text->first;
    text->failed = false;
}

void hw_json_free(hw_json_t *text)
{
    if (text->data != text->first) {
        free(text->data);
    }
    text->data = text->first;
    text->len = 0;
    text->size = sizeof text->first;
}

char *hw_json_grow(hw_json_t *text, size_t len)
{
    size_t size = text->size;
    while (size - text->len < len && size <= SIZE_MAX / 2) {
        size *= 2;
    }
    char *data = text->failed || size - text->len < len ? NULL : malloc(size);
    if (data == NULL) {
        text->failed = true;
        return NULL;
    }
    memcpy(data, text->data, text->len);
    if (text->data != text->first) {
        free(text->data);
    }
    text->data = data;
    text->size = size;
    return hw_json_extend(text, len);
}

/* What stands in a JSON string as it is; tables, because every byte of every head is looked up. */
static const bool plain[256] = {[' ' ... '!'] = true, ['#' ... '['] = true, [']' ... '~'] = true};
/* What makes a letter large, or small. */
static const unsigned char to_large[256] = {['a' ... 'z'] = 'a' ^ 'A'};
static const unsigned char to_small[256] = {['A' ... 'Z'] = 'a' ^ 'A'};

void hw_json_char(hw_json_t *text, uint32_t code)
{
    if (code < 0x80 && plain[code]) {
        char byte = (char)code;
        hw_json_raw(text, &byte, 1);
        return;
    }
    static const char shorts[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (size_t i = 0; code < 0x80 && i + 1 < sizeof shorts; i += 2) {
        if ((uint32_t)shorts[i] == code) {
            char escape[2] = {'\\', shorts[i + 1]};
            hw_json_raw(text, escape, sizeof escape);
            return;
        }
    }
    if (code > 0xffff) {
        hw_json_char(text, 0xd800 + ((code - 0x10000) >> 10 & 0x3ff));
        code = 0xdc00 + (code & 0x3ff);
    }
    char escape[6] = {'\\', 'u', hex[code >> 12 & 15], hex[code >> 8 & 15], hex[code >> 4 & 15], hex[code & 15]};
    hw_json_raw(text, escape, sizeof escape);
}

/* Tells whether one of eight bytes is not plain: the usual tricks with a high bit for each byte. */
static inline bool any_special(uint64_t bytes)
{
    const uint64_t ones = UINT64_MAX / 255, high = ones * 0x80;
    uint64_t quotes = bytes ^ (ones * '"'), slashes = bytes ^ (ones * '\\');
    uint64_t found = (bytes - ones * 0x20) & ~bytes; /* below a space */
    found |= bytes | (bytes + ones);                 /* 0x7f and above */
    found |= (quotes - ones) & ~quotes;              /* zero where a byte is equal */
    found |= (slashes - ones) & ~slashes;
    return (found & high) != 0;
}

/* Copies up to the first byte that is not plain, eight at a time; gives how many those are. */
static size_t copy_plain(char *into, const char *data, size_t len)
{
    size_t i = 0;
    uint64_t eight;
    for (; len - i >= sizeof eight; i += sizeof eight) {
        memcpy(&eight, data + i, sizeof eight);
        if (any_special(eight)) {
            break;
        }
        memcpy(into + i, &eight, sizeof eight);
    }
    while (i < len && plain[(unsigned char)data[i]]) {
        into[i] = data[i];
        i++;
    }
    return i;
}

void hw_json_bytes(hw_json_t *text, const char *data, size_t len)
{
    for (;;) {
        char *place = hw_json_extend(text, len);
        if (place == NULL) {
            return;
        }
        size_t count = copy_plain(place, data, len);
        if (HW_LIKELY(count == len)) {
            return;
        }
        text->len -= len - count;
        hw_json_char(text, (unsigned char)data[count]);
        data += count + 1;
        len -= count + 1;
    }
}

void hw_json_uint(hw_json_t *text, uint64_t value)
{
    char digits[MOST_DIGITS];
    size_t begin = sizeof digits;
    do {
        digits[--begin] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    hw_json_raw(text, digits + begin, sizeof digits - begin);
}

void hw_json_fixed(hw_json_t *text, double value, unsigned decimals)
{
    uint64_t scale = 1;
    for (unsigned i = 0; i < decimals; i++) {
        scale *= 10;
    }
    if (!(value > 0)) {
        value = 0;
    } else if (value > 1e15) {
        value = 1e15;
    }
    /* Apart, because a time of today with seven decimals has more digits than a double. */
    uint64_t whole = (uint64_t)value;
    uint64_t part = (uint64_t)((value - (double)whole) * (double)scale + 0.5);
    if (part >= scale) {
        whole++;
        part -= scale;
    }
    hw_json_uint(text, whole);
    char *place = hw_json_extend(text, decimals + 1);
    if (place == NULL) {
        return;
    }
    place[0] = '.';
    for (unsigned i = decimals; i > 0; i--) {
        place[i] = (char)('0' + part % 10);
        part /= 10;
    }
}

/* -- headers -- */

static inline char to_lower(char byte)
{
    return (char)(byte ^ to_small[(unsigned char)byte]);
}

static bool is_same_name(hw_str_t a, hw_str_t b)
{
    if (a.len != b.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (a.data[i] != b.data[i] && to_lower(a.data[i]) != to_lower(b.data[i])) {
            return false;
        }
    }
    return true;
}

static bool is_secret(hw_str_t name)
{
    switch (name.len) {
    case 6:
        return is_same_name(name, (hw_str_t){"cookie", 6});
    case 10:
        return is_same_name(name, (hw_str_t){"set-cookie", 10});
    case 13:
        return is_same_name(name, (hw_str_t){"authorization", 13});
    case 19:
        return is_same_name(name, (hw_str_t){"proxy-authorization", 19});
    default:
        return false;
    }
}

/* As Go writes it, Content-Type; gives whether all of it is plain. */
static bool write_title(char *into, hw_str_t name)
{
    bool all_plain = true;
    const unsigned char *change = to_large;
    for (size_t i = 0; i < name.len; i++) {
        unsigned char byte = (unsigned char)name.data[i];
        into[i] = (char)(byte ^ change[byte]);
        all_plain &= plain[byte];
        change = byte == '-' ? to_large : to_small;
    }
    return all_plain;
}

static void add_name(hw_json_t *text, hw_str_t name)
{
    size_t begin = text->len;
    char *place = hw_json_extend(text, name.len);
    if (place == NULL || HW_LIKELY(write_title(place, name))) {
        return;
    }
    /* No name that HTTP knows. */
    text->len = begin;
    char *title = malloc(name.len);
    if (title == NULL) {
        text->failed = true;
        return;
    }
    write_title(title, name);
    hw_json_bytes(text, title, name.len);
    free(title);
}

/* One of 64 marks, the same for the same name. */
static inline uint64_t mark_of(hw_str_t name)
{
    size_t seed = name.len > 0 ? name.len * 7 + (unsigned char)to_lower(name.data[0]) : 0;
    return UINT64_C(1) << (seed & 63);
}

static void add_values(hw_json_t *text, const hw_json_field_t *fields, size_t count, size_t index)
{
    hw_str_t name = fields[index].name;
    bool secret = is_secret(name);
    for (size_t i = index; i < count; i++) {
        if (i != index && !is_same_name(name, fields[i].name)) {
            continue;
        }
        if (i != index) {
            HW_JSON_LITERAL(text, "\",\"");
        }
        if (secret) {
            HW_JSON_LITERAL(text, "REDACTED");
        } else {
            hw_json_bytes(text, fields[i].value.data, fields[i].value.len);
        }
    }
}

static bool came_before(const hw_json_field_t *fields, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (is_same_name(fields[i].name, fields[index].name)) {
            return true;
        }
    }
    return false;
}

void hw_json_headers(hw_json_t *text, const hw_json_field_t *fields, size_t count)
{
    /* Names whose mark comes once have no other field, so that most are compared with none. */
    uint64_t seen = 0, again = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t mark = mark_of(fields[i].name);
        again |= seen & mark;
        seen |= mark;
    }
    bool first = true;
    for (size_t i = 0; i < count; i++) {
        bool is_alone = (mark_of(fields[i].name) & again) == 0;
        if (!is_alone && came_before(fields, i)) {
            continue;
        }
        if (first) {
            HW_JSON_LITERAL(text, "\"");
        } else {
            HW_JSON_LITERAL(text, ",\"");
        }
        first = false;
        add_name(text, fields[i].name);
        HW_JSON_LITERAL(text, "\":[\"");
        add_values(text, fields, is_alone ? i + 1 : count, i);
        HW_JSON_LITERAL(text, "\"]");
    }
}
