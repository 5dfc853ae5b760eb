<?php

// The front controller, for both modes: under a worker the kernel boots once and handles many requests.

declare(strict_types=1);

use App\Kernel;
use Symfony\Component\HttpFoundation\Request;

require_once dirname(__DIR__) . '/src/autoload.php';

$kernel = new Kernel($_SERVER['APP_ENV'] ?? 'prod', (bool) ($_SERVER['APP_DEBUG'] ?? false));

$handle = static function () use ($kernel): void {
    $request = Request::createFromGlobals();
    $response = $kernel->handle($request);
    $response->send();
    $kernel->terminate($request, $response);
};

if (!isset($_SERVER['FRANKENPHP_WORKER'])) {
    $handle();

    return;
}

$kernel->boot(); // so that a mistake is found now and not by the first visitor
while (frankenphp_handle_request($handle)) {
    gc_collect_cycles();
}
$kernel->shutdown();
