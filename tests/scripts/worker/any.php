<?php
// Runs any other script of the tests in worker mode: each request requires the script that its path names. The worker gets
// all paths by `match`, so SCRIPT_FILENAME is this file, and DOCUMENT_URI is the script of the path.
// WORKER_BOOT names a piece of boot/ that runs before the loop.
$boot = bin2hex(random_bytes(6));
$count = 0;
if (getenv('WORKER_BOOT')) {
    require __DIR__ . '/boot/' . getenv('WORKER_BOOT') . '.php';
}
$handler = static function () use ($boot, &$count): void {
    $script = $_SERVER['DOCUMENT_ROOT'] . $_SERVER['DOCUMENT_URI'];
    if (!is_file($script)) {
        http_response_code(404);
        return;
    }
    header("X-Boot: $boot");
    header('X-Count: ' . $count++);
    require $script;
};
while (frankenphp_handle_request($handler));
