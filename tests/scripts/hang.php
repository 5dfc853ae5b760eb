<?php
// Ways to hang that only the time limit can end.
set_time_limit(1);
echo 'hanging';
switch ($_GET['how']) {
    case 'loop':
        while (true);
    case 'sleep':
        sleep(30);
        break;
    case 'usleep':
        while (true) {
            usleep(10_000_000);
        }
    case 'flock':
        $file = fopen($_GET['lock'], 'c');
        flock($file, LOCK_EX);
        break;
    case 'connect':
        stream_socket_client('tcp://127.0.0.1:' . $_GET['port'], $code, $message, 30);
        break;
    case 'read':
        // PHP repeats an interrupted read, so that only the socket's own limit ends it.
        ini_set('default_socket_timeout', '2');
        $socket = stream_socket_client('tcp://127.0.0.1:' . $_GET['port'], $code, $message, 30);
        fgets($socket);
        break;
    case 'system':
        system('exec sleep 30');
        break;
    case 'regex':
        preg_match('/^(a+)+$/', str_repeat('a', 40) . 'b');
        break;
}
echo ' survived';
while (true);
