<?php

declare(strict_types=1);

// The front controller of both modes: as a worker script it boots once per thread and then handles requests.

use Slim\DefaultServicesProvider;

$app = require __DIR__ . '/../app.php';

if (!isset($_SERVER['FRANKENPHP_WORKER'])) {
    $app->run();
    return;
}

$handle = static function () use ($app): void {
    // Slim keeps the request in its container: the next one must not find the last one there.
    $container = $app->getContainer();
    unset($container['environment'], $container['request'], $container['response']);
    (new DefaultServicesProvider())->register($container);
    $app->run();
};

while (frankenphp_handle_request($handle));
