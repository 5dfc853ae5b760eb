/* SPDX-License-Identifier: MIT */
// links: hw_json.c
/* Text of log lines: what nobody may break out of, numbers, headers, memory. */
#include "hw_json.h"

#include <math.h>
#include <string.h>

#include "check.h"

static hw_json_t text;

static void check_text(const char *expected)
{
    CHECK_EQ(text.len, strlen(expected));
    bool same = text.len == strlen(expected) && memcmp(text.data, expected, text.len) == 0;
    CHECK(same);
    if (!same) {
        fprintf(stderr, "    it is %.*s\n", (int)text.len, text.data);
    }
    hw_json_free(&text);
}

static void every_byte_is_plain_or_escaped(void)
{
    hw_json_init(&text);
    hw_json_bytes(&text, "a\"b\\c\b\f\n\r\t\x1f\x7f\x80\xff\0~", 16);
    check_text("a\\\"b\\\\c\\b\\f\\n\\r\\t\\u001f\\u007f\\u0080\\u00ff\\u0000~");
    for (int byte = 0; byte < 256; byte++) {
        /* At each place of what is looked at eight bytes at a time. */
        for (int place = 0; place < 19; place++) {
            char data[19];
            memset(data, 'x', sizeof data);
            data[place] = (char)byte;
            hw_json_bytes(&text, data, sizeof data);
            bool is_plain = byte >= ' ' && byte < 0x7f && byte != '"' && byte != '\\';
            CHECK_EQ(text.len == sizeof data, is_plain);
            CHECK(text.data[place] == (is_plain ? (char)byte : '\\'));
            CHECK(text.data[text.len - 1] == 'x' || place == 18);
            hw_json_free(&text);
        }
    }
}

static void characters_of_unicode_are_escaped(void)
{
    hw_json_char(&text, 'a');
    hw_json_char(&text, '"');
    hw_json_char(&text, 0xe9);
    hw_json_char(&text, 0x2028);
    hw_json_char(&text, 0xd800);
    hw_json_char(&text, 0x1f600);
    check_text("a\\\"\\u00e9\\u2028\\ud800\\ud83d\\ude00");
}

static void numbers_have_their_digits(void)
{
    hw_json_uint(&text, 0);
    hw_json_raw(&text, " ", 1);
    hw_json_uint(&text, UINT64_MAX);
    check_text("0 18446744073709551615");
    hw_json_fixed(&text, 1700000000.1234567, 7);
    check_text("1700000000.1234567");
    hw_json_fixed(&text, 0.000412345, 9);
    check_text("0.000412345");
    hw_json_fixed(&text, 1.9999999, 6);
    check_text("2.000000");
    hw_json_fixed(&text, 0.5, 6);
    check_text("0.500000");
    hw_json_fixed(&text, -1.0, 2);
    hw_json_fixed(&text, NAN, 2);
    hw_json_fixed(&text, INFINITY, 2);
    check_text("0.000.001000000000000000.00");
}

static hw_json_field_t field(const char *name, const char *value)
{
    return (hw_json_field_t){{name, strlen(name)}, {value, strlen(value)}};
}

static void headers_are_lists_by_name(void)
{
    hw_json_field_t fields[] = {field("host", "a\"b"), field("accept", "1"), field("x-FORWARDED-for", ""),
                                field("Accept", "2"), field("x\"\n", "\r\n{}")};
    hw_json_headers(&text, fields, 5);
    check_text("\"Host\":[\"a\\\"b\"],\"Accept\":[\"1\",\"2\"],\"X-Forwarded-For\":[\"\"],"
               "\"X\\\"\\n\":[\"\\r\\n{}\"]");
    hw_json_headers(&text, fields, 0);
    check_text("");
}

static void secrets_are_not_written(void)
{
    hw_json_field_t fields[] = {
        field("cookie", "s"),        field("Set-Cookie", "s"),          field("set-cookie", "s"),
        field("AUTHORIZATION", "s"), field("proxy-authorization", "s"), field("cookies", "s")};
    hw_json_headers(&text, fields, 6);
    check_text("\"Cookie\":[\"REDACTED\"],\"Set-Cookie\":[\"REDACTED\",\"REDACTED\"],"
               "\"Authorization\":[\"REDACTED\"],\"Proxy-Authorization\":[\"REDACTED\"],\"Cookies\":[\"s\"]");
}

static void long_texts_get_memory(void)
{
    static char large[100000];
    memset(large, 'x', sizeof large);
    for (int i = 0; i < 5; i++) {
        hw_json_bytes(&text, large, sizeof large);
    }
    CHECK_EQ(text.len, 5 * sizeof large);
    CHECK(memcmp(text.data + 4 * sizeof large, large, sizeof large) == 0);
    hw_json_free(&text);
    memset(large, '\n', sizeof large);
    hw_json_bytes(&text, large, sizeof large);
    CHECK_EQ(text.len, 2 * sizeof large);
    hw_json_free(&text);
    hw_json_field_t fields[] = {{{large, 1000}, {"v", 1}}};
    hw_json_headers(&text, fields, 1);
    CHECK_EQ(text.len, 1 + 2 * 1000 + 4 + 1 + 2);
    hw_json_free(&text);
}

int main(void)
{
    hw_json_init(&text);
    RUN(every_byte_is_plain_or_escaped);
    RUN(characters_of_unicode_are_escaped);
    RUN(numbers_have_their_digits);
    RUN(headers_are_lists_by_name);
    RUN(secrets_are_not_written);
    RUN(long_texts_get_memory);
    return check_done();
}
