<?php

// A worker script of the shape of Laravel Octane's: it boots an application, handles MAX_REQUESTS requests and leaves.

if (!isset($_SERVER['FRANKENPHP_WORKER']) || !function_exists('frankenphp_handle_request')) {
    echo 'FrankenPHP must be in worker mode to use this script.';
    exit(1);
}
ignore_user_abort(true);

$application = (object) ['boot' => bin2hex(random_bytes(8)), 'version' => trim(file_get_contents(__DIR__ . '/../version')), 'handled' => 0];
$limit = (int) ($_ENV['MAX_REQUESTS'] ?? $_SERVER['MAX_REQUESTS'] ?? 1000);

$handle = static function () use ($application): void {
    $application->handled++;
    header('Content-Type: application/json');
    echo json_encode([
        'boot' => $application->boot,
        'version' => $application->version,
        'handled' => $application->handled,
        'uri' => $_SERVER['REQUEST_URI'],
        'method' => $_SERVER['REQUEST_METHOD'],
        'body' => strlen(file_get_contents('php://input')),
        'octane' => getenv('LARAVEL_OCTANE'),
    ]);
};

$requests = 0;
try {
    $maxed = false;
    while (!$maxed && frankenphp_handle_request($handle)) {
        $maxed = ++$requests >= $limit && $limit > 0;
        gc_collect_cycles();
    }
} finally {
    error_log("worker {$application->boot} leaves after $requests requests");
}
