<?php

declare(strict_types=1);

/** Escapes text for HTML. */
function e(string $text): string
{
    return htmlspecialchars($text, ENT_QUOTES | ENT_SUBSTITUTE, 'UTF-8');
}

// Facts about this request and this PHP only: no headers, no cookies, no environment, no server paths.
$facts = [
    'Method' => $_SERVER['REQUEST_METHOD'],
    'Address' => $_SERVER['REQUEST_URI'],
    'Script' => $_SERVER['SCRIPT_NAME'],
    'Path info' => $_SERVER['PATH_INFO'] ?? '',
    'Protocol' => $_SERVER['SERVER_PROTOCOL'],
    'Server' => $_SERVER['SERVER_SOFTWARE'] ?? '',
    'PHP' => PHP_VERSION . (PHP_ZTS ? ', thread-safe' : ', not thread-safe'),
    'OPcache' => ini_get('opcache.enable') ? 'on' : 'off',
    'Time in PHP' => sprintf('%.2f ms', 1000 * (microtime(true) - $_SERVER['REQUEST_TIME_FLOAT'])),
];
?>
<!DOCTYPE html>
<html lang="en">
<head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Hello from Howdah</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="/style.css">
</head>
<body>
<main>
    <h1>Hello from PHP</h1>
    <p>This page was made by PHP <?= e(PHP_VERSION) ?>, running inside a Python process.</p>
    <table>
        <caption>This request</caption>
<?php foreach ($facts as $name => $value): ?>
<?php if ($value !== ''): ?>
        <tr><th scope="row"><?= e($name) ?></th><td><?= e((string) $value) ?></td></tr>
<?php endif ?>
<?php endforeach ?>
    </table>
    <p>Next: <a href="/form.php">send a form</a>, or look at <code>examples/hello/index.php</code>.</p>
</main>
</body>
</html>
