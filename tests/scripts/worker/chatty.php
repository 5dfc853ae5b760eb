<?php
// Prints, sends headers and asks for things where no request is.
echo "said while booting\nin two lines\n";
header('X-Boot-Header: lost');
trigger_error('noticed while booting');
$number = 0;
do {
    $running = frankenphp_handle_request(static function () use (&$number): void {
        echo 'answer ', ++$number;
    });
    echo "said after request $number";
    header('X-Between: lost');
    http_response_code(299);
    flush();
} while ($running);
echo 'said after the loop';
