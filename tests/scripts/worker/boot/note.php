<?php
// Notes the variables that the script sees while it boots.
$GLOBALS['at boot'] = [
    'server' => $_SERVER,
    'env' => $_ENV,
    'getenv' => getenv(),
    'child' => trim((string) shell_exec('echo $OF_SITE $OF_WORKER $BOTH')),
];
