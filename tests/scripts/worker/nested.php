<?php
// Asks for a request in the middle of one.
while (frankenphp_handle_request(static function (): void {
    echo 'outer ', $_GET['i'], ';';
    try {
        frankenphp_handle_request(static fn () => print 'inner;');
        echo 'not refused;';
    } catch (RuntimeException $error) {
        echo get_class($error), ';';
    }
    echo 'outer ends';
}));
