<?php
// Asks for requests from where the script is about to end.
register_shutdown_function(static function (): void {
    $got = frankenphp_handle_request(static fn () => print 'from a shutdown function');
    file_put_contents(getenv('TRACE'), 'shutdown ' . var_export($got, true));
});
while (frankenphp_handle_request(static function (): void {
    register_shutdown_function(static function (): void {
        try {
            frankenphp_handle_request(static fn () => print 'nested');
            echo 'not refused';
        } catch (RuntimeException) {
            echo 'refused';
        }
    });
    echo 'answer ';
}));
