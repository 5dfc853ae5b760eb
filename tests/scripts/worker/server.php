<?php
// All of $_SERVER, told by a worker that is found by its path.
while (frankenphp_handle_request(static function (): void {
    require dirname(__DIR__) . '/server.php';
}));
