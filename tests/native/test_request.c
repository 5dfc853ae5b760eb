/* SPDX-License-Identifier: MIT */
// links: hw_request.c hw_log.c hw_channel.c
// links: hw_body.c hw_body_consumer.c hw_body_producer.c hw_spool.c hw_port.c
#include "hw_request.h"

#include <string.h>
#include <unistd.h>

#include "sample.h"

static size_t key_of(const char *name, char into[64])
{
    return hw_request_header_key(name, strlen(name), into);
}

static void header_names_become_server_keys(void)
{
    char key[64];
    CHECK(key_of("accept-Language", key) == 20);
    CHECK(strcmp(key, "HTTP_ACCEPT_LANGUAGE") == 0);
    CHECK(key_of("X-1", key) == 8);
    CHECK(strcmp(key, "HTTP_X_1") == 0);
}

static void names_that_could_pose_as_others_get_no_key(void)
{
    const char *refused[] = {"", "X_Forwarded_For", "a b", "a:b", "caf\xc3\xa9", "a\r", "a(b"};
    char key[64];
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        CHECK(key_of(refused[i], key) == 0);
    }
    CHECK(hw_request_header_key("a\0b", 3, key) == 0);
}

static char *copy_of(const char *text)
{
    char *copy = strdup(text);
    CHECK(copy != NULL);
    return copy;
}

static void a_short_response_is_taken_in_one_piece(void)
{
    sample_t sample = sample_new();
    hw_request_t *request = sample_request(&sample);
    hw_taken_t taken;
    hw_request_put_head(request, hw_head_new(201, 0));
    hw_request_take(request, 100, &taken);
    CHECK(taken.flags == 0); /* nothing is sent before there is a body or an end */
    CHECK(hw_request_finish(request, HW_OUTCOME_COMPLETED, copy_of("hello"), 5));
    hw_request_take(request, 100, &taken);
    CHECK(taken.flags == (HW_TAKE_HEADERS | HW_TAKE_DONE));
    CHECK(taken.head->status == 201);
    CHECK(taken.body_len == 5 && memcmp(taken.final, "hello", 5) == 0);
    free(taken.head);
    free(taken.final);
    hw_channel_close(sample.channel);
    hw_request_release(request);
    sample_free(&sample);
}

static void only_the_first_end_and_the_first_head_count(void)
{
    sample_t sample = sample_new();
    hw_request_t *request = sample_request(&sample);
    hw_taken_t taken;
    hw_request_put_head(request, hw_head_new(200, 0));
    hw_request_put_head(request, hw_head_new(500, 0));
    CHECK(hw_request_finish(request, HW_OUTCOME_COMPLETED, copy_of("one"), 3));
    CHECK(hw_request_finish(request, HW_OUTCOME_ABORTED, copy_of("two"), 3));
    CHECK(atomic_load(&request->outcome) == HW_OUTCOME_COMPLETED);
    hw_request_take(request, 100, &taken);
    CHECK(taken.head->status == 200 && memcmp(taken.final, "one", 3) == 0);
    free(taken.head);
    free(taken.final);
    hw_channel_close(sample.channel);
    hw_request_release(request);
    sample_free(&sample);
}

static void interim_responses_come_first_and_in_order(void)
{
    sample_t sample = sample_new();
    hw_request_t *request = sample_request(&sample);
    hw_taken_t taken;
    hw_request_put_interim(request, hw_head_new(102, 0));
    hw_request_put_interim(request, hw_head_new(103, 0));
    hw_request_put_head(request, hw_head_new(200, 0));
    hw_request_finish(request, HW_OUTCOME_COMPLETED, NULL, 0);
    for (int status = 102; status <= 103; status++) {
        hw_request_take(request, 100, &taken);
        CHECK(taken.flags == (HW_TAKE_INTERIM | HW_TAKE_MORE) && taken.head->status == status);
        free(taken.head);
    }
    hw_request_take(request, 100, &taken);
    CHECK(taken.flags == (HW_TAKE_HEADERS | HW_TAKE_DONE) && taken.head->status == 200);
    free(taken.head);
    hw_channel_close(sample.channel);
    hw_request_release(request);
    sample_free(&sample);
}

static void flushed_output_is_read_in_pieces(void)
{
    sample_t sample = sample_new();
    hw_request_t *request = sample_request(&sample);
    hw_taken_t taken;
    char piece[4];
    hw_request_put_head(request, hw_head_new(200, 0));
    CHECK(hw_request_put_body(request, "abcdef", 6, false));
    hw_request_take(request, 4, &taken);
    CHECK(taken.flags == (HW_TAKE_HEADERS | HW_TAKE_MORE) && taken.body_len == 4 && taken.final == NULL);
    CHECK(hw_body_read(request->body, piece, 4) == 4 && memcmp(piece, "abcd", 4) == 0);
    free(taken.head);
    CHECK(hw_request_finish(request, HW_OUTCOME_COMPLETED, copy_of("gh"), 2));
    hw_request_take(request, 4, &taken);
    CHECK(taken.flags == HW_TAKE_DONE && taken.body_len == 4);
    CHECK(hw_body_read(request->body, piece, 4) == 4 && memcmp(piece, "efgh", 4) == 0);
    hw_channel_close(sample.channel);
    hw_request_release(request);
    sample_free(&sample);
}

static void after_an_abort_output_is_refused(void)
{
    sample_t sample = sample_new();
    hw_request_t *request = sample_request(&sample);
    CHECK(hw_request_put_body(request, "a", 1, false));
    hw_request_abort(request);
    hw_request_abort(request);
    CHECK(!hw_request_put_body(request, "b", 1, false));
    CHECK(!hw_request_finish(request, HW_OUTCOME_ABORTED, copy_of("c"), 1));
    hw_channel_close(sample.channel);
    hw_request_release(request);
    sample_free(&sample);
}

static void a_status_changes_until_its_head_is_taken(void)
{
    sample_t sample = sample_new();
    hw_request_t *request = sample_request(&sample);
    hw_taken_t taken;
    hw_request_change_status(request, 504); /* there is no head yet */
    hw_request_put_head(request, hw_head_new(200, 0));
    hw_request_change_status(request, 504);
    CHECK(hw_request_put_body(request, "abc", 3, false));
    hw_request_take(request, 3, &taken);
    CHECK(taken.flags == HW_TAKE_HEADERS && taken.head->status == 504);
    hw_request_change_status(request, 500); /* it is on its way */
    CHECK_EQ(taken.head->status, 504);
    free(taken.head);
    CHECK(hw_request_finish(request, HW_OUTCOME_COMPLETED, NULL, 0));
    hw_channel_close(sample.channel);
    hw_request_release(request);
    sample_free(&sample);
}

static void a_response_that_is_given_up_ends_for_its_client(void)
{
    sample_t sample = sample_new();
    hw_request_t *request = sample_request(&sample);
    hw_taken_t taken;
    hw_request_give_up(request, 504);
    hw_request_take(request, 100, &taken);
    CHECK(taken.flags == (HW_TAKE_HEADERS | HW_TAKE_DONE));
    CHECK(taken.head->status == 504 && taken.body_len == 0 && taken.final == NULL);
    CHECK(atomic_load(&request->outcome) == HW_OUTCOME_COMPLETED);
    free(taken.head);
    /* What the script says later is dropped, and its own end changes nothing. */
    hw_request_put_head(request, hw_head_new(200, 0));
    CHECK(!hw_request_put_body(request, "late", 4, false));
    CHECK(hw_request_finish(request, HW_OUTCOME_ABORTED, copy_of("rest"), 4));
    CHECK(atomic_load(&request->outcome) == HW_OUTCOME_COMPLETED);
    hw_channel_close(sample.channel);
    hw_request_release(request);
    sample_free(&sample);
}

static void giving_up_breaks_a_response_that_has_begun(void)
{
    sample_t sample = sample_new();
    hw_request_t *request = sample_request(&sample);
    hw_taken_t taken;
    hw_body_info_t info;
    hw_request_put_head(request, hw_head_new(200, 0));
    CHECK(hw_request_put_body(request, "begun", 5, false));
    hw_request_take(request, 2, &taken);
    CHECK(taken.flags == (HW_TAKE_HEADERS | HW_TAKE_MORE) && taken.head->status == 200);
    free(taken.head);
    hw_request_give_up(request, 504);
    hw_request_take(request, 100, &taken);
    CHECK(taken.flags == HW_TAKE_DONE && taken.head == NULL);
    hw_body_info(request->body, &info);
    CHECK(!info.complete);
    hw_channel_close(sample.channel);
    hw_request_release(request);
    sample_free(&sample);
}

typedef struct {
    hw_request_t *request;
    bool killed;
} writer_t;

static void *write_for_ever(void *argument)
{
    writer_t *writer = argument;
    static char block[100000];
    while (hw_request_put_body(writer->request, block, sizeof block, true)) {
        /* until the kill */
    }
    return NULL;
}

static void a_kill_ends_the_wait_for_a_slow_client(void)
{
    sample_t sample = sample_new();
    writer_t writer = {.request = sample_request(&sample)};
    writer.request->killed = &writer.killed;
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, write_for_ever, &writer) == 0);
    check_pause_ns(30000000);
    __atomic_store_n(&writer.killed, true, __ATOMIC_RELAXED);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(!atomic_load(&writer.request->aborted));
    hw_channel_close(sample.channel);
    hw_request_release(writer.request);
    sample_free(&sample);
}

static void a_body_is_read_from_memory_and_from_a_file(void)
{
    sample_t sample = sample_new();
    char piece[8];
    hw_request_t *request = sample_request(&sample);
    request->body_memory = copy_of("abcde");
    request->body_memory_len = 5;
    CHECK(hw_request_read_body(request, piece, 3) == 3 && memcmp(piece, "abc", 3) == 0);
    CHECK(hw_request_read_body(request, piece, 8) == 2 && memcmp(piece, "de", 2) == 0);
    CHECK(hw_request_read_body(request, piece, 8) == 0);
    hw_request_release(request);

    FILE *file = tmpfile();
    CHECK(file != NULL && fputs("12345", file) >= 0 && fflush(file) == 0);
    request = sample_request(&sample);
    request->body_file = dup(fileno(file));
    request->body_file_len = 5;
    fclose(file);
    CHECK(hw_request_read_body(request, piece, 4) == 4 && memcmp(piece, "1234", 4) == 0);
    CHECK(hw_request_read_body(request, piece, 4) == 1 && piece[0] == '5');
    CHECK(hw_request_read_body(request, piece, 4) == 0);
    hw_request_release(request);
    sample_free(&sample);
}

int main(void)
{
    RUN(header_names_become_server_keys);
    RUN(names_that_could_pose_as_others_get_no_key);
    RUN(a_short_response_is_taken_in_one_piece);
    RUN(only_the_first_end_and_the_first_head_count);
    RUN(interim_responses_come_first_and_in_order);
    RUN(flushed_output_is_read_in_pieces);
    RUN(after_an_abort_output_is_refused);
    RUN(a_status_changes_until_its_head_is_taken);
    RUN(a_response_that_is_given_up_ends_for_its_client);
    RUN(giving_up_breaks_a_response_that_has_begun);
    RUN(a_kill_ends_the_wait_for_a_slow_client);
    RUN(a_body_is_read_from_memory_and_from_a_file);
    return check_done();
}
