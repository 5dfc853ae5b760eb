<?php
// The variables that each request sees; one script for several sites.
while (frankenphp_handle_request(static function (): void {
    require dirname(__DIR__) . '/environment.php';
}));
