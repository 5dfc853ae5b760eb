<?php
// Uses getopt() and argv between requests, where no request's arguments are.
$between = null;
$handler = static function () use (&$between): void {
    header('Content-Type: application/json');
    echo json_encode(['server' => $_SERVER, 'between' => $between]);
};
do {
    $running = frankenphp_handle_request($handler);
    $between = [getopt('f:', ['foo:']), is_array($_SERVER['argv'] ?? [])];
} while ($running);
