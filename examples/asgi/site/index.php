<?php

declare(strict_types=1);

/** Escapes text for HTML. */
function e(string $text): string
{
    return htmlspecialchars($text, ENT_QUOTES | ENT_SUBSTITUTE, 'UTF-8');
}

$base = rtrim(dirname($_SERVER['SCRIPT_NAME']), '/');
?>
<!DOCTYPE html>
<html lang="en">
<head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>PHP inside FastAPI</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="<?= e($base) ?>/style.css">
</head>
<body>
<main>
    <h1>PHP inside FastAPI</h1>
    <p>PHP <?= e(PHP_VERSION) ?> answers everything below <code><?= e($base) ?>/</code>; you asked for
        <code><?= e($_SERVER['REQUEST_URI']) ?></code>.</p>
    <p>The same process answers <a href="/api/greeting?name=you">/api/greeting</a> with Python.</p>
</main>
</body>
</html>
