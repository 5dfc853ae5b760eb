<?php
header('Content-Type: application/json');
$status = function_exists('opcache_get_status') ? opcache_get_status(true) : false;
echo json_encode($status ? [
    'enabled' => $status['opcache_enabled'],
    'hits' => $status['opcache_statistics']['hits'],
    'scripts' => array_map('basename', array_keys($status['scripts'] ?? [])),
] : false);
