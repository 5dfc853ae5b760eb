<?php
// Sends events as fast as they are taken, and notes how many bytes it got rid of.
header('Content-Type: text/event-stream');
$trace = $_GET['trace'];
register_shutdown_function(fn () => touch("$trace.end"));
$event = 'data: ' . str_repeat('e', 65536) . "\n\n";
for ($sent = 0; $sent < 200 << 20; $sent += strlen($event)) {
    echo $event;
    flush();
    file_put_contents($trace, (string) $sent);
}
