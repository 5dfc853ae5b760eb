<?php
// Variables by every way, for a request.
header('Content-Type: application/json');
$names = array_flip(['OF_SITE', 'OF_WORKER', 'BOTH', 'CUSTOM_OS_ENV_VARIABLE', 'FRANKENPHP_WORKER', 'FROM_BOOT', 'OF_OTHER']);
echo json_encode([
    'server' => (object) array_intersect_key($_SERVER, $names),
    'env' => (object) array_intersect_key($_ENV, $names),
    'getenv' => (object) array_intersect_key(getenv(), $names),
    'one' => getenv('OF_SITE'),
    'child' => trim((string) shell_exec('echo $OF_SITE')),
    'at boot' => $GLOBALS['at boot'] ?? null,
]);
