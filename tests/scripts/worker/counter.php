<?php
// Counts its requests and says which boot of the script answers.
$boot = bin2hex(random_bytes(6));
$count = 0;
$handler = static function () use ($boot, &$count): void {
    if (isset($_GET['trace'])) {
        file_put_contents($_GET['trace'], 'ran');
    }
    for ($tries = 0; isset($_GET['gate']) && !file_exists($_GET['gate']) && $tries < 3000; $tries++) {
        usleep(10_000);
    }
    usleep(1000 * (int) ($_GET['ms'] ?? 0));
    header('Content-Type: application/json');
    echo json_encode(['boot' => $boot, 'count' => $count++, 'i' => $_GET['i'] ?? null, 'post' => $_POST,
        'server' => $_SERVER['REQUEST_URI'], 'worker' => $_SERVER['FRANKENPHP_WORKER'] ?? null]);
};
while (frankenphp_handle_request($handler));
