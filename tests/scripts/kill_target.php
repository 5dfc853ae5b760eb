<?php
// Short work of several kinds; whoever is not killed says the token.
set_time_limit(0);
$token = $_GET['token'];
switch ($_GET['how']) {
    case 'computing':
        $until = hrtime(true) + 1_000_000;
        while (hrtime(true) < $until) {
            $waste = md5($token);
        }
        break;
    case 'sleeping':
        usleep(1000);
        break;
    case 'polling':
        // The other side answers after `ms`, or never when that is negative.
        $stream = stream_socket_client('tcp://127.0.0.1:' . $_GET['port'], $code, $message, 20);
        stream_set_timeout($stream, 20);
        fwrite($stream, "$token {$_GET['ms']}\n");
        $token = trim((string) fgets($stream));
        fclose($stream);
        break;
}
echo $token;
