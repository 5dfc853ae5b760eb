"""HTTP/1.1 without TLS, on the event loop's own thread.

Most requests come this way: from a reverse proxy, from a client on the same machine, or in development. A server with
threads of its own hands each request over twice and fights for the GIL on the way, which costs more than all of
this does. Parsing is llhttp's (`httptools`), the parser of Node.js; sockets are the event loop's. What is ours is
the order of requests and answers on a connection, limits, and timeouts:

    connection   reads: pieces to the parser, heads to exchanges, one exchange at a time
    exchange     one request and its answer, as ASGI sees them
    head         request targets, and the head of an answer in bytes
    sendfile     a file from the page cache to the socket
    listener     accepts, counts, sweeps away what is late, ends

TLS and HTTP/2 are in `howdah.serve.granian`.
"""
