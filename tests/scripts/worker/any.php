<?php
// Runs any other script of the tests in worker mode: each request requires the script that its path names.
// WORKER_BOOT names a piece of boot/ that runs before the loop.
$boot = bin2hex(random_bytes(6));
$count = 0;
if (getenv('WORKER_BOOT')) {
    require __DIR__ . '/boot/' . getenv('WORKER_BOOT') . '.php';
}
$handler = static function () use ($boot, &$count): void {
    if (!is_file($_SERVER['SCRIPT_FILENAME'])) {
        http_response_code(404);
        return;
    }
    header("X-Boot: $boot");
    header('X-Count: ' . $count++);
    require $_SERVER['SCRIPT_FILENAME'];
};
while (frankenphp_handle_request($handler));
