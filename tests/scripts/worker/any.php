<?php
// Runs any other script of the tests in worker mode: each request requires the script that its path names.
$handler = static function (): void {
    if (!is_file($_SERVER['SCRIPT_FILENAME'])) {
        http_response_code(404);
        return;
    }
    require $_SERVER['SCRIPT_FILENAME'];
};
while (frankenphp_handle_request($handler));
