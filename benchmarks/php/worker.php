<?php
// The same 13 bytes as hello.php, from a script that stays.
$handle = static function (): void {
    echo "Hello, world!";
};
while (frankenphp_handle_request($handle));
