<?php

// Debian's packages bring loaders of their own, found through include_path (/usr/share/php).
// With Composer this file is vendor/autoload.php.

declare(strict_types=1);

require_once 'Symfony/Bundle/FrameworkBundle/autoload.php';
require_once 'Symfony/Bundle/TwigBundle/autoload.php';

spl_autoload_register(static function (string $class): void {
    if (str_starts_with($class, 'App\\')) {
        require __DIR__ . '/' . str_replace('\\', '/', substr($class, 4)) . '.php';
    }
});
