<?php
// The site's own variables in every place where a script may look.
$name = $_GET['name'] ?? 'PREPARED';
$before = getenv($name);
putenv('HOWDAH_TEST_OTHER=x');
echo json_encode([
    'getenv' => $before,
    'after_putenv' => getenv($name),
    'all' => getenv()[$name] ?? null,
    'server' => $_SERVER[$name] ?? null,
    'env' => $_ENV[$name] ?? null,
    'child' => trim((string) shell_exec('echo $' . $name)),
]);
